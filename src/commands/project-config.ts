import { Option } from 'commander';
import { listNames, MbertError, nearest } from '../errors.ts';
import { isObject, type JsonObject, type JsonValue, jsonText, parseJson } from '../formats/json.ts';
import { decodeText } from '../io/bytes.ts';
import { readWhole } from '../io/files.ts';
import { CONFIG_FILE, type Flag } from './command.ts';

/**
 * Words that stand in front of those of the command line, which thus has the last say: the flags of the project's
 * config for this command. Throws MALFORMED for a config that is no JSON, USAGE for
 * flags that the command does not have.
 */
export function configWords(
  flags: readonly Flag[],
  { command: name, commands }: { readonly command: string; readonly commands: readonly string[] },
): string[] {
  const config = objectOf(parseJson(decodeText(readWhole(CONFIG_FILE), CONFIG_FILE), CONFIG_FILE), CONFIG_FILE);
  for (const key of config.keys()) {
    if (!commands.includes(key)) throw unknown(`${CONFIG_FILE}: ${key}: is no command`, key, commands);
  }
  const own = config.get(name);
  if (own === undefined) return [];
  const known = new Map(flags.map((flag) => [new Option(flag.flags).long?.slice(2) ?? '', flag]));
  return [...objectOf(own, `${CONFIG_FILE}: ${name}`)].flatMap(([key, value]) => {
    const what = `${CONFIG_FILE}: ${name}.${key}`;
    const flag = known.get(key);
    if (flag === undefined) throw unknown(`${what}: is no flag of mbert ${name}`, key, [...known.keys()]);
    return wordsOf(key, value, new Option(flag.flags), what);
  });
}

function wordsOf(key: string, value: JsonValue, { required, optional }: Option, what: string): string[] {
  if (value === true && !required) return [`--${key}`];
  if (value === false && !required) return [];
  if (required || optional) {
    const text = Array.isArray(value) ? value.map((each) => textOf(each, what)).join(',') : textOf(value, what);
    return [`--${key}=${text}`];
  }
  throw new MbertError('MALFORMED', `${what}: is ${jsonText(value)}, not true or false`);
}

function textOf(value: JsonValue, what: string): string {
  if (typeof value === 'string' || typeof value === 'number') return String(value);
  throw new MbertError('MALFORMED', `${what}: is ${jsonText(value)}, not a text, a number or a list of them`);
}

function objectOf(value: JsonValue, what: string): JsonObject {
  if (isObject(value)) return value;
  throw new MbertError('MALFORMED', `${what}: is ${jsonText(value)}, not an object`);
}

function unknown(message: string, name: string, names: readonly string[]): MbertError {
  const near = nearest(name, names);
  return new MbertError('USAGE', message, { hint: near ? `did you mean ${near}?` : `known are ${listNames(names)}` });
}
