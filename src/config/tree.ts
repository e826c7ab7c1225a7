/** A configuration before it is checked: groups in groups, and values. */
export interface ConfigTree {
  [key: string]: ConfigValue;
}

export type ConfigValue = ConfigTree | ConfigValue[] | string | number | boolean | null;

export function isTree(value: unknown): value is ConfigTree {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Dotted keys of everything that is not a group of options; an application is one option. */
export function leafKeys(tree: ConfigTree, prefix = ''): string[] {
  return Object.entries(tree).flatMap(([key, value]) =>
    isTree(value) && prefix === '' && key !== 'applications' ? leafKeys(value, `${key}.`) : [prefix + key],
  );
}

/** Where something else stands in place of the group, that stays: it is a mistake to be told, not to be covered. */
export function setKey(tree: ConfigTree, key: string, value: ConfigValue): void {
  const [first = '', second] = key.split('.');
  if (second === undefined) {
    tree[first] = value;
    return;
  }
  tree[first] ??= {};
  const branch = tree[first];
  if (isTree(branch)) branch[second] = value;
}
