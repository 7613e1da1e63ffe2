import type { OpenedModel } from '../../opened/opened-model.ts';
import type { FormName, LayoutName } from '../../options/forms.ts';
import type { ShapeOptions } from '../../options/shape.ts';
import type { Writing } from '../../options/writing.ts';
import type { Target } from '../../passes/index.ts';
import type { TargetName } from '../../quantization/targets.ts';

/** A file that lies beside the models of a folder. */
export interface SideFile {
  /** Path below the folder, `1_Pooling/config.json`. */
  readonly path: string;
  readonly bytes: Uint8Array;
  /** Path that it was copied from; undefined for one that was made. */
  readonly from: string | undefined;
}

/** Facts that decide whether a program can open what would be written. */
export interface LayoutRequest {
  readonly model: OpenedModel;
  readonly shape: ShapeOptions;
  readonly writing: Writing;
}

/** Name of a form's file, and how the program is told to open it. */
export interface FormFile {
  /** Path below the folder without the ending, `onnx/model_fp16`. */
  readonly stem: string;
  /** Setting that opens it, as the program spells it: `dtype: "fp16"`. */
  readonly openedBy: string | undefined;
}

/** How a folder is laid out for the program that opens it. */
export interface Layout {
  readonly name: LayoutName | undefined;
  readonly formats: readonly Target[];
  /** Names the file of a form; `forms` are all that are written, as one of them may stand in for another. */
  fileOf(form: FormName, forms: readonly FormName[], request: LayoutRequest): FormFile;
  /** Name of the quantization target of 4-bit files, see `targets`. */
  readonly w4Target: TargetName;
  /** True where weights in a file of their own would not be found. */
  readonly isOneFile: boolean;
  /** Settings that the program needs. Throws USAGE or UNSUPPORTED for what it cannot open. */
  settle(request: LayoutRequest): Writing;
  /** The files beside the models. Throws NOT_FOUND, with a way out, where one is missing. */
  sideFiles(request: LayoutRequest): readonly SideFile[];
}
