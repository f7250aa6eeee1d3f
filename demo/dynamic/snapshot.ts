/** A run's snapshot: the checkpoints of both models as one file. */

/** Joins two files: the first one's length, u32 little-endian, then both. */
export function joined(a: Uint8Array, b: Uint8Array): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(4 + a.length + b.length);
  new DataView(bytes.buffer).setUint32(0, a.length, true);
  bytes.set(a, 4);
  bytes.set(b, 4 + a.length);
  return bytes;
}

/** The two files that `joined` made one of. */
export function parted(
  bytes: Uint8Array<ArrayBuffer>,
): [Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>] {
  const length = new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);
  return [bytes.slice(4, 4 + length), bytes.slice(4 + length)];
}
