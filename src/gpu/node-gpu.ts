// A name that bundlers for pages do not follow: there the package is not installed.
const PACKAGE: string = "webgpu";

let made: GPU | undefined;

/**
 * WebGPU from the npm package webgpu, where it is installed beside this one. For Node alone, which
 * has none of its own; the same at every call.
 * @throws the reason why the package does not load, or null where it is not installed.
 */
export async function nodeGpu(): Promise<GPU> {
  if (made) return made;
  let loaded: { readonly create: (flags: readonly string[]) => GPU };
  try {
    loaded = await import(/* @vite-ignore */ /* webpackIgnore: true */ PACKAGE);
  } catch (error) {
    const { code, message } = error as { readonly code?: string; readonly message: string };
    throw code === "ERR_MODULE_NOT_FOUND" ? null : new Error(message.split("\n")[0]);
  }
  made = loaded.create([]);
  return made;
}
