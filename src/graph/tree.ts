/** A value, or named branches of the same kind of tree. */
export type Tree<T> = T | { readonly [name: string]: Tree<T> };

/** One leaf and its dotted path, `conv1.kernel`. */
export interface Leaf<T> {
  readonly path: string;
  readonly value: T;
}

/** The leaves of a tree in the order of insertion; `isLeaf` tells a value from a branch. */
export function leaves<T>(tree: Tree<T>, isLeaf: (x: Tree<T>) => x is T, path = ""): Leaf<T>[] {
  if (isLeaf(tree)) return [{ path, value: tree }];
  return Object.entries(tree).flatMap(([name, branch]) =>
    leaves(branch, isLeaf, path === "" ? name : `${path}.${name}`),
  );
}

/** The tree of the same form whose leaves are `values`, in the order of `leaves`. */
export function rebuild<T, U>(
  tree: Tree<T>,
  isLeaf: (x: Tree<T>) => x is T,
  values: readonly U[],
): Tree<U> {
  let next = 0;
  const build = (branch: Tree<T>): Tree<U> => {
    if (isLeaf(branch)) return values[next++] as U;
    const out: Record<string, Tree<U>> = {};
    for (const [name, child] of Object.entries(branch)) out[name] = build(child);
    return out;
  };
  return build(tree);
}

/**
 * A tree with the leaves at dotted paths taken out (`null`) or put in; branches that end up empty
 * vanish.
 */
export function edit<T>(tree: Tree<T>, changes: ReadonlyMap<string, T | null>): Tree<T> {
  const root: Record<string, Tree<T>> = clone(tree as Record<string, Tree<T>>);
  for (const [path, value] of changes) {
    const names = path.split(".");
    const last = names.pop() as string;
    let at = root;
    for (const name of names) {
      const child = clone((at[name] ?? {}) as Record<string, Tree<T>>);
      at[name] = child;
      at = child;
    }
    if (value === null) delete at[last];
    else at[last] = value;
  }
  return root;
}

function clone<T>(branch: Record<string, Tree<T>>): Record<string, Tree<T>> {
  return { ...branch };
}
