import { Option } from 'commander';
import type { Flag } from './command.ts';

/** A flag as commander knows it. */
export function optionOf({ flags, says, choices, parse, default: value, preset, isRequired }: Flag): Option {
  const option = new Option(flags, says);
  if (choices && parse === undefined) option.choices(choices);
  if (parse) option.argParser(parse);
  if (choices && parse) option.argChoices = [...choices];
  if (value !== undefined) option.default(value);
  if (preset !== undefined) option.preset(preset);
  return isRequired ? option.makeOptionMandatory() : option;
}
