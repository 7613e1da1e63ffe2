"""Checks an ONNX file: the checker, complete strict shape inference, a strict load, and what ONNX Runtime fuses it to.

usage: check_onnx.py MODEL.onnx [--expect OP=COUNT ...]     e.g. --expect QGemm=288 --expect DequantizeLinear=0
"""

import argparse
import tempfile
from collections import Counter
from pathlib import Path

import onnx
import onnxruntime

from report import finish, size_mb


def check_standard(path: Path) -> list[str]:
    try:
        onnx.checker.check_model(str(path), full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        return [f"onnx.checker: {error}"]
    return []


def uninferred(model: onnx.ModelProto) -> list[str]:
    """Names of node outputs whose type or rank strict inference does not find; raises when types contradict."""
    inferred = onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True, data_prop=True).graph
    known = {
        value.name
        for value in [*inferred.value_info, *inferred.output]
        if value.type.tensor_type.elem_type and value.type.tensor_type.HasField("shape")
    }
    return [name for node in inferred.node for name in node.output if name and name not in known]


def optimized_ops(path: Path) -> Counter:
    """Op counts of the graph that ONNX Runtime really runs."""
    options = onnxruntime.SessionOptions()
    # ORT warns that a saved optimized model is bound to this machine; here it is only counted.
    options.log_severity_level = 3
    options.intra_op_num_threads = 1
    options.add_session_config_entry("session.strict_shape_type_inference", "1")
    with tempfile.TemporaryDirectory() as folder:
        options.optimized_model_filepath = str(Path(folder) / "optimized.onnx")
        onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        return Counter(node.op_type for node in onnx.load(options.optimized_model_filepath).graph.node)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--expect", action="append", default=[], metavar="OP=COUNT", help="nodes after optimization")
    args = parser.parse_args()
    problems = check_standard(args.model)

    model = onnx.load(args.model, load_external_data=False)
    missing: list[str] = []
    try:
        missing = uninferred(model)
    except onnx.shape_inference.InferenceError as error:
        problems.append(f"strict shape inference: {error}")
    if missing:
        problems.append(f"{len(missing)} tensors without an inferred shape, the first is {missing[0]}")

    optimized: Counter = Counter()
    try:
        optimized = optimized_ops(args.model)
    except Exception as error:  # onnxruntime raises a class of its own for each status code, with no useful common base
        problems.append(f"onnxruntime: {error}")
    for expectation in args.expect:
        op, _, count = expectation.partition("=")
        if optimized[op] != int(count):
            problems.append(f"{optimized[op]} {op} after optimization, expected {count}")

    result = {
        "model": args.model.name,
        "onnx": onnx.__version__,
        "onnxruntime": onnxruntime.__version__,
        "size_mb": size_mb(args.model),
        "ir_version": model.ir_version,
        "opsets": {entry.domain or "ai.onnx": entry.version for entry in model.opset_import},
        "nodes": len(model.graph.node),
        "uninferred": len(missing),
        "optimized_nodes": sum(optimized.values()),
        "optimized_ops": dict(optimized.most_common()),
    }
    finish(result, problems)


main()
