"""Checks a TFLite file in LiteRT: how many XNNPACK partitions, what stays outside, buffer alignment, op versions.

usage: check_litert.py MODEL.tflite [--delegates 1] [--resize N]
"""

import argparse
from collections import Counter
from pathlib import Path

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from report import finish, size_mb
from runtimes import seeded_tokens, tflite_tensors, value_for

# Model schema, `force_align: 16` on Buffer.data; generators do not honour it by themselves.
BUFFER_ALIGNMENT = 16
OP_NAMES = {code: name for name, code in vars(schema.BuiltinOperator).items() if isinstance(code, int)}


def alignment(model) -> tuple[dict[str, int], list[str]]:
    """How many buffers with data there are and how many of them are misaligned, and the problem in words."""
    starts = []
    for buffer in (model.Buffers(index) for index in range(model.BuffersLength())):
        if buffer.DataLength():
            starts.append(buffer._tab.Vector(buffer._tab.Offset(4)))  # slot 0 of table Buffer: data
        elif buffer.Offset() > 1:  # 1 is a writer's placeholder; larger: data behind the flatbuffer
            starts.append(buffer.Offset())
    wrong = [start for start in starts if start % BUFFER_ALIGNMENT]
    problem = f"{len(wrong)} of {len(starts)} buffers do not start at a multiple of {BUFFER_ALIGNMENT} bytes"
    return {"with_data": len(starts), "misaligned": len(wrong)}, [problem] if wrong else []


def operator_codes(model) -> tuple[list[dict], list[str]]:
    """Every op with its version and count; and the codes that an old runtime would read differently."""
    counts: Counter = Counter()
    for graph in (model.Subgraphs(index) for index in range(model.SubgraphsLength())):
        counts.update(graph.Operators(index).OpcodeIndex() for index in range(graph.OperatorsLength()))
    listing, problems = [], []
    for index in range(model.OperatorCodesLength()):
        code = model.OperatorCodes(index)
        name = OP_NAMES.get(code.BuiltinCode(), str(code.BuiltinCode()))
        listing.append({"op": name, "version": code.Version(), "count": counts[index]})
        # Runtimes before TF 2.4 read the one-byte field, where 127 stands for every later op.
        if code.DeprecatedBuiltinCode() != min(code.BuiltinCode(), 127):
            problems.append(f"{name}: deprecated_builtin_code {code.DeprecatedBuiltinCode()} contradicts builtin_code")
    return sorted(listing, key=lambda entry: -entry["count"]), problems


def outside_delegates(interpreter, outputs: dict[str, dict]) -> Counter:
    """Ops outside of every partition. The list of ops keeps what a partition replaced, so walk from the outputs."""
    producer = {}
    for op in interpreter._get_ops_details():  # partitions come last and so win
        producer.update({int(tensor): op for tensor in op["outputs"]})
    outside: Counter = Counter()
    pending = [int(entry["index"]) for entry in outputs.values()]
    seen = set()
    while pending:
        op = producer.get(pending.pop())
        if op is None or op["index"] in seen:
            continue
        seen.add(op["index"])
        if op["op_name"] != "DELEGATE":
            outside[op["op_name"]] += 1
        pending.extend(int(tensor) for tensor in op["inputs"])
    return outside


def run(path: Path, resize: int | None, resolver: OpResolverType):
    interpreter = Interpreter(str(path), num_threads=1, experimental_op_resolver_type=resolver)
    inputs, outputs = tflite_tensors(interpreter)
    if resize:
        for entry in inputs.values():
            interpreter.resize_tensor_input(entry["index"], [1, resize], strict=True)
    interpreter.allocate_tensors()
    sequence = resize or int(next(iter(inputs.values()))["shape"][1])
    tokens = seeded_tokens(np.random.default_rng(0), sequence, max(1, sequence * 3 // 4), 100)
    for name, entry in inputs.items():
        interpreter.set_tensor(entry["index"], value_for(name, tokens).astype(entry["dtype"]))
    interpreter.invoke()
    return interpreter, outputs, {name: interpreter.get_tensor(entry["index"]) for name, entry in outputs.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--delegates", type=int, default=1, help="expected number of XNNPACK partitions")
    parser.add_argument("--resize", type=int, metavar="N", help="run a dynamic file at sequence length N")
    args = parser.parse_args()

    model = schema.Model.GetRootAs(args.model.read_bytes(), 0)
    buffers, problems = alignment(model)
    ops, code_problems = operator_codes(model)
    problems += code_problems
    interpreter, outputs, values = run(args.model, args.resize, OpResolverType.AUTO)
    delegates = sum(op["op_name"] == "DELEGATE" for op in interpreter._get_ops_details())
    if delegates != args.delegates:
        problems.append(f"{delegates} XNNPACK partitions, expected {args.delegates}")
    problems += [f"{name}: not finite" for name, value in values.items() if not np.isfinite(value).all()]

    builtin = run(args.model, args.resize, OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES)[2]
    difference = max(float(np.abs(values[name] - builtin[name]).max()) for name in values)
    result = {
        "model": args.model.name,
        "size_mb": size_mb(args.model),
        "schema_version": model.Version(),
        "signatures": interpreter.get_signature_list(),
        "buffers": buffers,
        "outputs": {name: list(value.shape) for name, value in values.items()},
        "delegates": delegates,
        "outside_delegates": dict(outside_delegates(interpreter, outputs)),
        "max_difference_from_builtin_kernels": difference,
        "ops": ops,
    }
    finish(result, problems)


main()
