import { DataFileError } from "./errors";
import { DEFLATE_LIMIT, damagedGzip, isGzip, unpacked } from "./gzip";

/**
 * The IDX format of MNIST: a big-endian u32 magic number 0x0000TTRR (type 08 = u8, rank RR), RR
 * big-endian u32 sizes, then the values, last axis fastest. Files may be gzip-compressed.
 */
interface Kind {
  readonly rank: number;
  readonly holds: string;
}

const IMAGES: Kind = { rank: 3, holds: "images" };
const LABELS: Kind = { rank: 1, holds: "labels" };
const U8 = 0x08;

/** Reads and checks the header: the sizes along each axis. */
function readSizes(header: Uint8Array, file: string, kind: Kind): number[] {
  const view = new DataView(header.buffer);
  const magic = view.getUint32(0);
  const expected = U8 * 256 + kind.rank;
  if (magic !== expected) {
    const type = (magic >>> 8) & 0xff;
    const other = magic === 2049 || magic === 2051 ? " (the other kind of file)" : "";
    throw new DataFileError(
      file,
      magic >>> 16 === 0 && (magic & 0xff) === kind.rank && type !== U8
        ? `its values have IDX type 0x${type.toString(16)}`
        : `its magic number is ${magic}${other}`,
      `${expected}, an IDX file of unsigned-byte ${kind.holds}`,
      "give the original file of that name",
    );
  }
  const sizes = Array.from({ length: kind.rank }, (_, i) => view.getUint32(4 + 4 * i));
  if (sizes.includes(0)) {
    throw new DataFileError(
      file,
      `its header declares sizes [${sizes.join(", ")}]`,
      "sizes of at least 1",
      "fetch the file again",
    );
  }
  return sizes;
}

/** Reads a whole IDX file of u8: allocates once what the header declares, never unpacks more. */
async function readIdx(
  bytes: Uint8Array,
  file: string,
  kind: Kind,
): Promise<{ sizes: number[]; values: Uint8Array }> {
  const again = "fetch the file again";
  const header = new Uint8Array(4 + 4 * kind.rank);
  const packed = isGzip(bytes);
  let sizes: number[] = [];
  let values = new Uint8Array(0);
  let filled = 0;
  const declared = () => `${values.length} bytes after the header, ${sizes.join(" x ")}`;
  try {
    for await (let piece of unpacked(bytes)) {
      if (filled < header.length) {
        const taken = Math.min(header.length - filled, piece.length);
        header.set(piece.subarray(0, taken), filled);
        filled += taken;
        piece = piece.subarray(taken);
        if (filled < header.length) continue;
        sizes = readSizes(header, file, kind);
        const count = sizes.reduce((n, d) => n * d, 1);
        const most = packed ? bytes.length * DEFLATE_LIMIT : bytes.length - header.length;
        if (count > most) {
          throw new DataFileError(
            file,
            `it is truncated: there are at most ${most} bytes after the header`,
            `${count}, ${sizes.join(" x ")}`,
            again,
          );
        }
        values = new Uint8Array(count);
      }
      if (filled - header.length + piece.length > values.length) {
        throw new DataFileError(file, "it goes on after its last value", declared(), again);
      }
      values.set(piece, filled - header.length);
      filled += piece.length;
    }
  } catch (error) {
    if (error instanceof DataFileError) throw error;
    throw damagedGzip(file, error);
  }
  if (filled < header.length) {
    throw new DataFileError(
      file,
      `it has ${filled} bytes`,
      `an IDX header of ${header.length}`,
      again,
    );
  }
  if (filled - header.length < values.length) {
    const found = `it is truncated: there are ${filled - header.length} bytes after the header`;
    throw new DataFileError(file, found, declared(), again);
  }
  return { sizes, values };
}

/** Images of an IDX file: `pixels` is u8 [count, rows, columns], 0 background, 255 ink. */
export interface IdxImages {
  readonly count: number;
  readonly rows: number;
  readonly columns: number;
  readonly pixels: Uint8Array;
}

/**
 * Reads an IDX image file (magic 2051), plain or gzip.
 * @param file The name for messages.
 * @throws DataFileError for a wrong magic number, or more or fewer bytes than declared.
 */
export async function readIdxImages(bytes: Uint8Array, file: string): Promise<IdxImages> {
  const { sizes, values } = await readIdx(bytes, file, IMAGES);
  const [count, rows, columns] = sizes as [number, number, number];
  return { count, rows, columns, pixels: values };
}

/**
 * Reads an IDX label file (magic 2049), plain or gzip: u8 [count], each below `classes`.
 * @param file The name for messages.
 * @throws DataFileError as `readIdxImages`, and for a label out of range.
 */
export async function readIdxLabels(
  bytes: Uint8Array,
  file: string,
  classes: number,
): Promise<Uint8Array> {
  const { values } = await readIdx(bytes, file, LABELS);
  const bad = values.findIndex((label) => label >= classes);
  if (bad >= 0) {
    throw new DataFileError(
      file,
      `label ${bad} is ${values[bad]}`,
      `0 to ${classes - 1}`,
      "give the labels of this data set, or fetch the file again",
    );
  }
  return values;
}
