/** A model's parameters as a film keeps them. */
import type { slabsOf, Variables } from "hyperloom";
import type { Tensors } from "./film";

/**
 * Reads the parameters from the device, by their paths.
 * @param variable Of the model's `slabsOf`, whose tensors lie in one piece.
 * @param named Paths that are wanted; default all.
 */
export async function readTensors(
  variables: Variables,
  { variable }: ReturnType<typeof slabsOf>["parameters"],
  named = /./,
): Promise<Tensors> {
  const [slab] = await variables.read([variable]);
  const tensors = variable.entries.flatMap(({ name, shape, offset }) => {
    if (!named.test(name)) return [];
    const length = shape.reduce((n, d) => n * d, 1);
    return [[name, (slab as Float32Array).slice(offset, offset + length)] as const];
  });
  return Object.fromEntries(tensors);
}
