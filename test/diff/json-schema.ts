/** The parts of JSON Schema (2020-12) that schemas/*.schema.json use. */
export interface Schema {
  readonly type?: string | readonly string[];
  readonly enum?: readonly unknown[];
  readonly properties?: { readonly [name: string]: Schema };
  readonly required?: readonly string[];
  readonly additionalProperties?: Schema;
  readonly items?: Schema;
  readonly anyOf?: readonly Schema[];
  readonly $ref?: string;
  readonly $defs?: { readonly [name: string]: Schema };
}

/** What of a value does not fit, as `path: problem`. Properties that the schema does not name are problems as well. */
export function problemsOf(value: unknown, schema: Schema, root: Schema = schema, path = '$'): string[] {
  if (schema.$ref !== undefined) return problemsOf(value, resolve(schema.$ref, root), root, path);
  if (schema.anyOf) {
    const tried = schema.anyOf.map((option) => problemsOf(value, option, root, path));
    const [least] = tried.toSorted((a, b) => a.length - b.length);
    return least ?? [];
  }
  if (schema.enum && !schema.enum.includes(value)) return [`${path}: is none of ${schema.enum}`];
  const types = schema.type === undefined ? undefined : [schema.type].flat();
  if (types && !types.some((type) => isOfType(value, type))) return [`${path}: is no ${types.join(' or ')}`];
  if (Array.isArray(value)) {
    return value.flatMap((item, i) => (schema.items ? problemsOf(item, schema.items, root, `${path}[${i}]`) : []));
  }
  return typeof value === 'object' && value !== null ? objectProblems({ ...value }, schema, root, path) : [];
}

function objectProblems(value: { [name: string]: unknown }, schema: Schema, root: Schema, path: string): string[] {
  const { properties = {}, required = [], additionalProperties } = schema;
  const missing = required.filter((name) => !(name in value)).map((name) => `${path}: lacks ${name}`);
  const wrong = Object.entries(value).flatMap(([name, item]) => {
    const known = properties[name] ?? additionalProperties;
    return known ? problemsOf(item, known, root, `${path}.${name}`) : [`${path}: has an unknown ${name}`];
  });
  return [...missing, ...wrong];
}

function isOfType(value: unknown, type: string): boolean {
  if (type === 'null') return value === null;
  if (type === 'array') return Array.isArray(value);
  if (type === 'integer') return Number.isInteger(value);
  if (type === 'object') return typeof value === 'object' && value !== null && !Array.isArray(value);
  return typeof value === type;
}

function resolve(ref: string, root: Schema): Schema {
  const found = root.$defs?.[ref.replace('#/$defs/', '')];
  if (found === undefined) throw new Error(`the schema has no ${ref}`);
  return found;
}
