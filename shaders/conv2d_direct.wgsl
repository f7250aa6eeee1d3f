// Correlation of packed rows with packed weights, for software adapters: forward pass, input gradient
// and kernel gradient of a convolution are all of this form (src/ops/conv2d-direct.ts says how).
//   result[b, o, i, j] = sum over terms t and taps u of
//     weights[t, u, o] · source[first(b) + offsets[t] + i·row + j + u·SHIFT]
// A term is a row of taps (of one channel and kernel row, …); `offsets` says where it lies in the
// source, so that the loop has neither division nor border check. In units of vec4:
// source: rows with the zeros at the borders included; weights [groups, classes, blocks of channels,
// terms, TAPS, DEPTH]; offsets [terms]; result: the tensor itself, f32, each class of rows and columns
// (of a strided result) written by invocations of its own.
// An invocation makes ROWS × COLUMNS pixels of 4·DEPTH channels in 4×4 outer products: a row of
// source is loaded once for all taps and channels, a weight once for all pixels, 0.1 loads a
// multiply-add, where SwiftShader spends some 40 cycles on a load and 4 on a multiply-add. What is
// carried round a loop costs too: with 1×1 and 3×3 kernels trips of TERMS = 4 and 2 terms save a
// tenth; beyond six taps a trip nothing. No workgroup memory: loads from it are no faster there.
override WORKGROUP: u32 = 4u;
override TAPS: u32 = 3u; // 1 to 9
override TERMS: u32 = 3u; // of a trip: 1 to 4
override ROWS: u32 = 2u; // 1 to 4
override COLUMNS: u32 = 8u; // 3, 4 or 8
override SHIFT: u32 = 1u; // 1 or 2
override WINDOW: u32 = COLUMNS + SHIFT * (TAPS - 1u); // 16 at most
override DEPTH: u32 = 2u; // vec4 of channels: 1 or 2

struct Params {
  tiles_x: u32,
  tiles_y: u32,
  members: u32, // results that share weights
  groups: u32, // results with weights of their own
  parts: u32, // of the sum
  terms: u32, // of a part; a multiple of TERMS
  row: u32, // of source, from a row of the tile to the next
  source_member: u32,
  source_group: u32,
  source_class: u32,
  weights_group: u32,
  weights_class: u32,
  weights_block: u32,
  channels: u32,
  blocks: u32, // of channels
  class_columns: u32,
  step_h: u32, // row of result = i·step_h + row of the class; columns likewise
  step_w: u32,
  height: u32,
  width: u32,
  result_part: u32,
  result_group: u32,
  result_member: u32,
  result_channel: u32,
}

@group(0) @binding(0) var<storage, read> source: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> weights: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> offsets: array<u32>;
@group(0) @binding(3) var<storage, read_write> result: array<f32>;
@group(0) @binding(4) var<uniform> p: Params;

fn epilogue(x: f32, i: u32) -> f32 { return x; }

// Columns are pixels, rows channels: pixels 0-3 of channels 0-3, then 4-7, pixels 4-7 likewise.
struct Tile {
  near_low: mat4x4<f32>,
  near_high: mat4x4<f32>,
  far_low: mat4x4<f32>,
  far_high: mat4x4<f32>,
}

struct Tiles {
  a: Tile,
  b: Tile,
  c: Tile,
  d: Tile,
}

// 16 values of a source row, of which the first 8 are the pixels that a tap sees.
struct Window {
  a: vec4<f32>,
  b: vec4<f32>,
  c: vec4<f32>,
  d: vec4<f32>,
}

struct Windows {
  a: Window,
  b: Window,
  c: Window,
  d: Window,
}

fn window(at: u32) -> Window {
  var v = Window(source[at], vec4<f32>(), vec4<f32>(), vec4<f32>());
  if (WINDOW > 4u) { v.b = source[at + 1u]; }
  if (WINDOW > 8u) { v.c = source[at + 2u]; }
  if (WINDOW > 12u) { v.d = source[at + 3u]; }
  return v;
}

// The window of the next tap; moves registers' names, not values.
fn shift(v: Window) -> Window {
  if (SHIFT > 1u) {
    return Window(
      vec4<f32>(v.a.zw, v.b.xy),
      vec4<f32>(v.b.zw, v.c.xy),
      vec4<f32>(v.c.zw, v.d.xy),
      vec4<f32>(v.d.zw, 0.0, 0.0),
    );
  }
  return Window(
    vec4<f32>(v.a.yzw, v.b.x),
    vec4<f32>(v.b.yzw, v.c.x),
    vec4<f32>(v.c.yzw, v.d.x),
    vec4<f32>(v.d.yzw, 0.0),
  );
}

fn next(v: Windows) -> Windows {
  return Windows(shift(v.a), shift(v.b), shift(v.c), shift(v.d));
}

fn outer_add(m: mat4x4<f32>, w: vec4<f32>, x: vec4<f32>) -> mat4x4<f32> {
  var last = vec4<f32>();
  if (COLUMNS > 3u) { last = m[3] + w * x.w; }
  return mat4x4<f32>(m[0] + w * x.x, m[1] + w * x.y, m[2] + w * x.z, last);
}

// Adds one tap to one row of pixels.
fn add(tile: Tile, low: vec4<f32>, high: vec4<f32>, v: Window) -> Tile {
  var t = tile;
  t.near_low = outer_add(t.near_low, low, v.a);
  if (DEPTH > 1u) { t.near_high = outer_add(t.near_high, high, v.a); }
  if (COLUMNS > 4u) { t.far_low = outer_add(t.far_low, low, v.b); }
  if (COLUMNS > 4u && DEPTH > 1u) { t.far_high = outer_add(t.far_high, high, v.b); }
  return t;
}

// Adds one tap, whose weights are at `at`, to all rows.
fn tap(tiles: Tiles, v: Windows, at: u32) -> Tiles {
  var t = tiles;
  let low = weights[at];
  var high = vec4<f32>();
  if (DEPTH > 1u) { high = weights[at + 1u]; }
  t.a = add(t.a, low, high, v.a);
  if (ROWS > 1u) { t.b = add(t.b, low, high, v.b); }
  if (ROWS > 2u) { t.c = add(t.c, low, high, v.c); }
  if (ROWS > 3u) { t.d = add(t.d, low, high, v.d); }
  return t;
}

// Adds one term, whose first row begins at `first`.
fn term(tiles: Tiles, first: u32, at: u32) -> Tiles {
  var v = Windows();
  v.a = window(first);
  if (ROWS > 1u) { v.b = window(first + p.row); }
  if (ROWS > 2u) { v.c = window(first + 2u * p.row); }
  if (ROWS > 3u) { v.d = window(first + 3u * p.row); }
  var t = tap(tiles, v, at);
  if (TAPS > 1u) { v = next(v); t = tap(t, v, at + DEPTH); }
  if (TAPS > 2u) { v = next(v); t = tap(t, v, at + 2u * DEPTH); }
  if (TAPS > 3u) { v = next(v); t = tap(t, v, at + 3u * DEPTH); }
  if (TAPS > 4u) { v = next(v); t = tap(t, v, at + 4u * DEPTH); }
  if (TAPS > 5u) { v = next(v); t = tap(t, v, at + 5u * DEPTH); }
  if (TAPS > 6u) { v = next(v); t = tap(t, v, at + 6u * DEPTH); }
  if (TAPS > 7u) { v = next(v); t = tap(t, v, at + 7u * DEPTH); }
  if (TAPS > 8u) { v = next(v); t = tap(t, v, at + 8u * DEPTH); }
  return t;
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
  let block = wid.z % p.blocks;
  let class_number = wid.z / p.blocks;
  let linear = (wid.x + wid.y * grid.x) * WORKGROUP + lane;
  let tx = linear % p.tiles_x;
  let ty = linear / p.tiles_x % p.tiles_y;
  let batch = linear / (p.tiles_x * p.tiles_y);
  let member = batch % p.members;
  let group = batch / p.members % p.groups;
  let part = batch / (p.members * p.groups);
  if (part >= p.parts) { return; }
  let i = ty * ROWS;
  let j = tx * COLUMNS;

  let first = group * p.source_group + member * p.source_member + class_number * p.source_class +
    i * p.row + j / 4u;
  let trip = TERMS * TAPS * DEPTH;
  var at = group * p.weights_group + class_number * p.weights_class + block * p.weights_block +
    part * p.terms * TAPS * DEPTH;
  var t = Tiles();
  let end = (part + 1u) * p.terms;
  for (var k = part * p.terms; k < end; k += TERMS) {
    t = term(t, first + offsets[k], at);
    if (TERMS > 1u) { t = term(t, first + offsets[k + 1u], at + TAPS * DEPTH); }
    if (TERMS > 2u) { t = term(t, first + offsets[k + 2u], at + 2u * TAPS * DEPTH); }
    if (TERMS > 3u) { t = term(t, first + offsets[k + 3u], at + 3u * TAPS * DEPTH); }
    at += trip;
  }

  // One loop, and so one copy of the epilogue, for all quarters of all rows.
  var quarters = array<mat4x4<f32>, 16>(
    t.a.near_low, t.a.near_high, t.a.far_low, t.a.far_high,
    t.b.near_low, t.b.near_high, t.b.far_low, t.b.far_high,
    t.c.near_low, t.c.near_high, t.c.far_low, t.c.far_high,
    t.d.near_low, t.d.near_high, t.d.far_low, t.d.far_high,
  );
  let plane = part * p.result_part + group * p.result_group + member * p.result_member;
  let class_h = class_number / p.class_columns;
  let class_w = class_number % p.class_columns;
  for (var q = 0u; q < 4u * ROWS; q++) {
    let h = (i + q / 4u) * p.step_h + class_h;
    let first_j = j + q % 4u / 2u * 4u;
    let first_channel = block * 4u * DEPTH + q % 2u * 4u;
    let live_channels = min(4u, max(p.channels, first_channel) - first_channel);
    let used = (COLUMNS > 4u || q % 4u < 2u) && (DEPTH > 1u || q % 2u == 0u);
    if (!used || h >= p.height) { continue; }
    for (var k = 0u; k < min(4u, COLUMNS); k++) {
      let w = (first_j + k) * p.step_w + class_w;
      if (w >= p.width) { continue; }
      for (var c = 0u; c < live_channels; c++) {
        let at = plane + (first_channel + c) * p.result_channel + h * p.width + w;
        result[at] = epilogue(quarters[q][k][c], at);
      }
    }
  }
}
