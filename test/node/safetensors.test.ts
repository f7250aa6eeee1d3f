import { expect, test } from "vitest";
import { fold, key, WordStream } from "../../src/graph/random";
import {
  type NamedSafeTensor,
  readSafetensors,
  SafetensorsError,
  writeSafetensors,
} from "../../src/io/safetensors";

const tensors: NamedSafeTensor[] = [
  { name: "mask", dtype: "u8", shape: [3], data: Uint8Array.of(1, 0, 255) },
  {
    name: "kernel",
    dtype: "f32",
    shape: [2, 2],
    data: Float32Array.of(1.5, -0, Number.NaN, 1e-45),
  },
  { name: "__proto__", dtype: "i32", shape: [], data: Int32Array.of(-7) },
  { name: "rng/é", dtype: "u32", shape: [1, 2], data: Uint32Array.of(0xffffffff, 1) },
  { name: "empty", dtype: "f32", shape: [4, 0], data: new Float32Array(0) },
];
const metadata = { step: "12", model: 'a "b"\n', ["__proto__"]: "no prototype" };

/** A file with a header of the given text (not padded) and `data` zero bytes. */
function file(header: string, data = 0): Uint8Array {
  const text = new TextEncoder().encode(header);
  const bytes = new Uint8Array(8 + text.length + data);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(text.length), true);
  bytes.set(text, 8);
  return bytes;
}

const one = (shape: string, range: string, dtype = "F32") =>
  `{"w":{"dtype":"${dtype}","shape":${shape},"data_offsets":${range}}}`;

test("what is written is read again, bit for bit, whatever the order", () => {
  const bytes = writeSafetensors(tensors, metadata);
  const read = readSafetensors(bytes, "f");
  expect(read.metadata).toEqual(new Map(Object.entries(metadata)));
  expect(read.metadata.get("__proto__")).toBe("no prototype");
  expect(read.tensors.size).toBe(5);
  for (const { name, ...tensor } of tensors) {
    expect(read.tensors.get(name)).toEqual(tensor);
    expect(new Uint8Array(read.tensors.get(name)?.data.buffer ?? new ArrayBuffer(0))).toEqual(
      new Uint8Array(tensor.data.buffer),
    );
  }
  expect(writeSafetensors([...tensors].reverse(), new Map(read.metadata))).toEqual(bytes);
  expect(new DataView(bytes.buffer).getUint32(0, true) % 8).toBe(0);
  // Also from the middle of another buffer, unaligned.
  const moved = new Uint8Array(bytes.length + 3);
  moved.set(bytes, 3);
  expect(readSafetensors(moved.subarray(3), "f")).toEqual(read);
  expect(readSafetensors(Buffer.from(bytes), "f")).toEqual(read);
  expect(readSafetensors(writeSafetensors([]), "f").tensors.size).toBe(0);
});

test("the bytes are the documented ones", () => {
  const data = Float32Array.of(1);
  const bytes = writeSafetensors([{ name: "w", dtype: "f32", shape: [1], data }], { a: "b" });
  const header = '{"__metadata__":{"a":"b"},"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}';
  const padded = header.padEnd(Math.ceil(header.length / 8) * 8);
  expect(new TextDecoder("latin1").decode(bytes)).toBe(
    `${String.fromCharCode(padded.length)}\0\0\0\0\0\0\0${padded}\0\0\x80?`,
  );
});

test("the reader takes valid headers of other writers", () => {
  const spaced =
    ' { "a\\u0062" : { "data_offsets" : [ 0 , 3 ] , "shape":[3], "dtype" : "U8" } ,\n"f":' +
    '{"shape":[],"dtype":"F32","data_offsets":[3,7]} } ';
  const { tensors: read } = readSafetensors(file(spaced, 7), "f");
  expect([...read.keys()]).toEqual(["ab", "f"]);
  expect(read.get("f")).toEqual({ dtype: "f32", shape: [], data: new Float32Array(1) });
});

test("each malformed file is refused with file and reason", () => {
  const long = "n".repeat(513);
  const length = (n: bigint) => {
    const bytes = file(one("[1]", "[0,4]"), 4);
    new DataView(bytes.buffer).setBigUint64(0, n, true);
    return bytes;
  };
  const entry = (name: string, begin: number, end: number) =>
    `"${name}":{"dtype":"U8","shape":[${end - begin}],"data_offsets":[${begin},${end}]}`;
  const many = (n: number) =>
    `{${Array.from({ length: n }, (_, i) => entry(`t${i}`, 0, 0)).join(",")}}`;
  const cases: [Uint8Array, RegExp][] = [
    [new Uint8Array(7), /has 7 bytes/],
    [length(0n), /its end at character 0, expected "\{"/],
    [length(1n), /its end/],
    [length(1n << 22n), /declares a header of 4194304 bytes but ends after/],
    ...[
      (1n << 22n) + 1n,
      1n << 31n,
      1n << 32n,
      (1n << 53n) - 1n,
      (1n << 53n) + 1n,
      (1n << 64n) - 1n,
    ].map((n): [Uint8Array, RegExp] => [
      length(n),
      new RegExp(`header of ${n} bytes, at most 4 MiB`),
    ]),
    [file("\ufeff{}"), /expected "\{"/],
    [Uint8Array.of(2, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xfe), /not UTF-8/],
    [file("{} x"), /text after its object/],
    [file("[".repeat(100000)), /"\[" at character 0/],
    [file(`{"w":${"[".repeat(100000)}`), /expected "\{"/],
    [file('{"w":{"shape":[[1]]}}'), /expected 0 to 2\^53 - 1/],
    [file('{"w'), /string at character 1 is not valid/],
    [file('{"w\\x":1}'), /string at character 1 is not valid/],
    [file(`{${entry("w", 0, 1)},${entry("w", 1, 2)}}`, 2), /it has "w" twice/],
    [file(`{${entry("w", 0, 1)},${entry("\\u0077", 1, 2)}}`, 2), /it has "w" twice/],
    [file('{"__metadata__":{},"__metadata__":{}}'), /it has "__metadata__" twice/],
    [file('{"__metadata__":{"a":"1","a":"2"}}'), /its metadata has "a" twice/],
    [file('{"__metadata__":{"a":1}}'), /expected "\\""/],
    [file('{"w":{"dtype":"U8","dtype":"U8","shape":[],"data_offsets":[0,1]}}', 1), /"dtype" twice/],
    [file('{"w":{"dtype":"U8","shape":[]}}'), /lacks dtype, shape or two data_offsets/],
    [file('{"w":{"external":"../x"}}'), /unknown field "external"/],
    [file(one("[1]", "[0]"), 4), /lacks dtype, shape or two/],
    [file(one("[1]", "[0,4,4]"), 4), /more than 2 numbers/],
    [file(one("[1]", "[0,4]", "F64"), 4), /is F64; F32, I32, U32 and U8 are read/],
    [file(one("[1]", "[0,4]", "f32"), 4), /is f32;/],
    [file(one("[1,1,1,1,1,1,1,1,1]", "[0,4]"), 4), /more than 8 numbers/],
    [file(`{${entry(long, 0, 1)}}`, 1), /a name of 513 bytes/],
    [file(many(16385)), /more than 16384/],
    ...["-1", "1.5", "1e400", "01", "9007199254740993", "1e1", "NaN", "null", '"1"'].map(
      (n): [Uint8Array, RegExp] => [file(one(`[${n}]`, "[0,4]"), 4), /expected 0 to 2\^53 - 1/],
    ),
    [file(one("[4194305,4194305,211106198978564]", "[0,4]"), 4), /does not take the 4 bytes/],
    [file(one("[9007199254740991,9007199254740991]", "[0,4]"), 4), /does not take the 4 bytes/],
    [file(one("[2]", "[0,4]"), 4), /F32 \[2\] does not take the 4 bytes/],
    [file(one("[1]", "[4,0]"), 4), /is at 4 to 0 of 4/],
    [file(one("[2]", "[0,8]"), 4), /is at 0 to 8 of 4/],
    [file(one("[1]", "[0,4]"), 5), /end at data byte 4, the file at 5/],
    [file(one("[1]", "[1,5]"), 5), /begins at byte 1, expected 0/],
    [file(`{${entry("a", 0, 3)},${entry("b", 2, 4)}}`, 4), /"b" begins at byte 2, expected 3/],
    [file(`{${entry("a", 0, 1)},${entry("b", 2, 4)}}`, 4), /"b" begins at byte 2, expected 1/],
    [file("{}", 1), /end at data byte 0, the file at 1/],
  ];
  for (const [bytes, reason] of cases) {
    const read = () => readSafetensors(bytes, "net.safetensors");
    expect(read).toThrow(SafetensorsError);
    expect(read).toThrow(reason);
    expect(read).toThrow(/^hyperloom: net\.safetensors: /);
  }
  // The limits themselves are allowed.
  expect(readSafetensors(file(many(16384)), "f").tensors.size).toBe(16384);
  expect(readSafetensors(file(`{${entry(long.slice(1), 0, 1)}}`, 1), "f").tensors.size).toBe(1);
  expect(readSafetensors(file(one("[1,1,1,1,1,1,1,1]", "[0,4]"), 4), "f").tensors.size).toBe(1);
});

test("20,000 damaged files give a typed error or tensors that fit, quickly", () => {
  const whole = writeSafetensors(tensors, metadata);
  const alphabet = new TextEncoder().encode('{}[]":,0123456789-.e\\u FUI328\x00\xff');
  let errors = 0;
  const started = performance.now();
  for (let i = 0; i < 20000; i++) {
    const random = new WordStream(fold(key(11), i));
    let bytes = whole.slice();
    if (random.below(4) === 0) bytes = bytes.slice(0, random.below(bytes.length + 1));
    for (let edits = random.below(3); edits >= 0 && bytes.length > 0; edits--) {
      const value = random.below(2) ? random.below(256) : alphabet[random.below(alphabet.length)];
      bytes[random.below(bytes.length)] = value ?? 0;
    }
    try {
      for (const { shape, data } of readSafetensors(bytes, "f").tensors.values()) {
        expect(data.length).toBe(shape.reduce((n, d) => n * d, 1));
      }
    } catch (error) {
      if (!(error instanceof SafetensorsError)) throw error;
      errors++;
    }
  }
  expect(errors).toBeGreaterThan(8000);
  expect(errors).toBeLessThan(20000);
  expect((performance.now() - started) / 20000).toBeLessThan(1);
});

test("a header of 4 MiB is read or refused in linear time", () => {
  const size = 4 * 1024 * 1024;
  const text = `{"__metadata__":{"a":"${"x".repeat(size - 30)}"}}`;
  const keys = `{"__metadata__":{${"0".repeat(380000).replace(/0/g, () => '"":"",')}"":""}}`;
  for (const header of [
    text,
    "[".repeat(size),
    `{"${"\\".repeat(size - 10)}`,
    keys,
    " ".repeat(size),
  ]) {
    const started = performance.now();
    try {
      readSafetensors(file(header), "f");
    } catch (error) {
      expect(error).toBeInstanceOf(SafetensorsError);
    }
    expect(performance.now() - started).toBeLessThan(500);
  }
});

test("what cannot be written is refused by name", () => {
  const w = { name: "w", dtype: "f32", shape: [2], data: new Float32Array(2) } as const;
  const refused: [NamedSafeTensor[], RegExp][] = [
    [[w, w], /"w" is there twice/],
    [[{ ...w, name: "__metadata__" }], /reserved/],
    [[{ ...w, shape: [3] }], /shape \[3\] and 2 values/],
    [[{ ...w, shape: [-1, -2] }], /shape \[-1, -2\] and 2 values/],
    [[{ ...w, shape: [1, 1, 1, 1, 1, 1, 1, 1, 2] }], /rank 9/],
    [[{ ...w, name: "é".repeat(257) }], /514 bytes of name/],
  ];
  for (const [list, reason] of refused) {
    expect(() => writeSafetensors(list)).toThrow(SafetensorsError);
    expect(() => writeSafetensors(list)).toThrow(reason);
  }
  expect(() => writeSafetensors([], { a: "x".repeat(5e6) })).toThrow("at most 4 MiB");
});
