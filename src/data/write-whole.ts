import { open, rename, rm } from "node:fs/promises";

/**
 * Writes a file (in Node and Deno) under a temporary name, syncs it and renames it: it is whole or not
 * there at all. @throws what the file system says; no temporary file stays.
 */
export async function writeWhole(path: string, bytes: Uint8Array | string): Promise<void> {
  const temporary = `${path}.${process.pid}.tmp`;
  // A link that somebody put there is not followed.
  await rm(temporary, { force: true });
  const file = await open(temporary, "wx");
  try {
    await file.writeFile(bytes);
    await file.sync();
    await file.close();
    await rename(temporary, path);
  } catch (error) {
    await file.close().catch(() => undefined);
    await rm(temporary, { force: true });
    throw error;
  }
}
