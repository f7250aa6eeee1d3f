// Correlation of packed rows with packed weights, for software adapters: forward pass, input gradient
// and kernel gradient of a convolution are all of this form (src/ops/conv2d-direct.ts says how).
//   result[b, o, i, j] = sum over terms t and taps u of
//     weights[t, u, o] · source[first(b) + offsets[t] + i·row + j + u·SHIFT]
// A term is a row of taps (of one channel and kernel row, …); `offsets` says where it lies in the
// source, so that the loop has neither division nor border check. In units of vec4:
// source: rows with the zeros at the borders included; weights [groups, classes, blocks of channels,
// terms, TAPS, DEPTH]; offsets [terms]; result: the tensor itself, f32, each class of rows and columns
// (of a strided result) written by invocations of its own.
// An invocation makes ROWS × COLUMNS pixels of 4·DEPTH channels: a row of source is loaded once for
// all taps and channels, a weight once for all pixels, since SwiftShader spends some 40 cycles on a
// load and 4 on a multiply-add. Four taps are one product of matrices, channels × taps by taps ×
// pixels, whose columns slide over the row: SwiftShader then carries a sum through four taps in a
// register, and compiles one instruction in place of 16. What is carried round a loop costs too: 1×1
// kernels take TERMS = 4 terms as taps, others of up to 3 taps two terms a trip. No workgroup
// memory: loads from it are no faster there.
// With subgroups (the twin that shaders/plugin.mjs makes of the lines marked so) the four invocations
// of a workgroup are a square: those beside each other (x) have tiles of pixels of their own and the
// same 8·DEPTH / 2 channels, those below each other (y) the same pixels. Of two vec4 of weights and
// of two rows of source each loads one, its own, and takes the other from its neighbour; rows and
// channels are in the order own, other: 3×3 kernels 3.6 GFLOP/s a core in place of 2.3, and 550 ms to
// compile in place of 740 (SwiftShader, Node, processor time). A third row, and weights of DEPTH 1,
// each loads for itself.
// subgroups: enable subgroups;
override WORKGROUP: u32 = 4u;
override TAPS: u32 = 3u; // 1 to 9
override TERMS: u32 = 2u; // of a trip: 1 or 2, with one tap 1 to 4
override ROWS: u32 = 2u; // 1 to 3
override COLUMNS: u32 = 8u; // 3, 4 or 8
override SHIFT: u32 = 1u; // 1 or 2
override WINDOW: u32 = COLUMNS + SHIFT * (TAPS - 1u); // 16 at most
override DEPTH: u32 = 2u; // vec4 of channels: 1 or 2
// Vec4 of weights multiplied at once: the taps, or with one tap (1 / TAPS is 1, else 0) the terms.
override WEIGHTS: u32 = TAPS + (TERMS - 1u) * (1u / TAPS);
// Tiles, and blocks of channels, along a side of what a group of invocations makes.
const SIDE = 1u; // subgroups: const SIDE = 2u;

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

// 4 channels of up to 9 weights.
struct Weights {
  a: mat4x4<f32>,
  b: mat4x4<f32>,
  c: vec4<f32>,
}

// What the weights see of 4 pixels, a column each.
struct Seen {
  a: mat4x4<f32>,
  b: mat4x4<f32>,
  c: vec4<f32>,
}

// 16 values of a source row in `first`; of 1×1 kernels pixels 0-3 of 4 terms, and 4-7 in `second`.
struct Source {
  first: mat4x4<f32>,
  second: mat4x4<f32>,
}

// Columns are pixels, rows channels: pixels 0-3 and 4-7 of the own channels, then of the others.
struct Tile {
  near_own: mat4x4<f32>,
  far_own: mat4x4<f32>,
  near_other: mat4x4<f32>,
  far_other: mat4x4<f32>,
}

fn load_source(at: u32, k: u32, offset: u32) -> Source {
  var s = Source();
  let first = at + offset;
  s.first[0] = source[first];
  if (TAPS > 1u) {
    if (WINDOW > 4u) { s.first[1] = source[first + 1u]; }
    if (WINDOW > 8u) { s.first[2] = source[first + 2u]; }
    if (WINDOW > 12u) { s.first[3] = source[first + 3u]; }
    return s;
  }
  if (COLUMNS > 4u) { s.second[0] = source[first + 1u]; }
  if (TERMS > 1u) {
    let next = at + offsets[k + 1u];
    s.first[1] = source[next];
    if (COLUMNS > 4u) { s.second[1] = source[next + 1u]; }
  }
  if (TERMS > 2u) {
    let next = at + offsets[k + 2u];
    s.first[2] = source[next];
    if (COLUMNS > 4u) { s.second[2] = source[next + 1u]; }
  }
  if (TERMS > 3u) {
    let next = at + offsets[k + 3u];
    s.first[3] = source[next];
    if (COLUMNS > 4u) { s.second[3] = source[next + 1u]; }
  }
  return s;
}

fn load_weights(at: u32) -> Weights {
  var w = Weights();
  w.a[0] = weights[at];
  if (WEIGHTS > 1u) { w.a[1] = weights[at + DEPTH]; }
  if (WEIGHTS > 2u) { w.a[2] = weights[at + 2u * DEPTH]; }
  if (WEIGHTS > 3u) { w.a[3] = weights[at + 3u * DEPTH]; }
  if (WEIGHTS > 4u) { w.b[0] = weights[at + 4u * DEPTH]; }
  if (WEIGHTS > 5u) { w.b[1] = weights[at + 5u * DEPTH]; }
  if (WEIGHTS > 6u) { w.b[2] = weights[at + 6u * DEPTH]; }
  if (WEIGHTS > 7u) { w.b[3] = weights[at + 7u * DEPTH]; }
  if (WEIGHTS > 8u) { w.c = weights[at + 8u * DEPTH]; }
  return w;
}

// The other row, which the neighbour in y has loaded, and the other channels' weights, that in x.
fn other_source(own: Source, at: u32, k: u32, offset: u32) -> Source {
  return load_source(at, k, offset); // subgroups: return Source(swap_y(own.first), swap_y(own.second));
}

fn other_weights(own: Weights, at: u32) -> Weights {
  return load_weights(at); // subgroups: return Weights(swap_x(own.a), swap_x(own.b), quadSwapX(own.c));
}

// subgroups: fn swap_x(m: mat4x4<f32>) -> mat4x4<f32> {
// subgroups:   return mat4x4<f32>(quadSwapX(m[0]), quadSwapX(m[1]), quadSwapX(m[2]), quadSwapX(m[3]));
// subgroups: }

// subgroups: fn swap_y(m: mat4x4<f32>) -> mat4x4<f32> {
// subgroups:   return mat4x4<f32>(quadSwapY(m[0]), quadSwapY(m[1]), quadSwapY(m[2]), quadSwapY(m[3]));
// subgroups: }

// Column j: what 4 taps see of pixel j of a row that begins with a, b, c. Moves names, not values.
fn slide(a: vec4<f32>, b: vec4<f32>, c: vec4<f32>) -> mat4x4<f32> {
  if (SHIFT > 1u) {
    return mat4x4<f32>(
      vec4<f32>(a.xz, b.xz),
      vec4<f32>(a.yw, b.yw),
      vec4<f32>(a.z, b.xz, c.x),
      vec4<f32>(a.w, b.yw, c.y),
    );
  }
  return mat4x4<f32>(a, vec4<f32>(a.yzw, b.x), vec4<f32>(a.zw, b.xy), vec4<f32>(a.w, b.xyz));
}

// What the taps see of pixels 0-3. The fifth tap is SHIFT vec4 further; of 16 values nine taps of
// SHIFT 1 fit, seven of SHIFT 2.
fn near(s: Source) -> Seen {
  if (TAPS == 1u) { return Seen(transpose(s.first), mat4x4<f32>(), vec4<f32>()); }
  let m = s.first;
  let a = slide(m[0], m[1], m[2]);
  if (SHIFT > 1u) { return Seen(a, slide(m[2], m[3], vec4<f32>()), vec4<f32>()); }
  return Seen(a, slide(m[1], m[2], m[3]), m[2]);
}

fn far(s: Source) -> Seen {
  if (TAPS == 1u) { return Seen(transpose(s.second), mat4x4<f32>(), vec4<f32>()); }
  let m = s.first;
  let a = slide(m[1], m[2], m[3]);
  if (SHIFT > 1u) { return Seen(a, slide(m[3], vec4<f32>(), vec4<f32>()), vec4<f32>()); }
  return Seen(a, slide(m[2], m[3], vec4<f32>()), m[3]);
}

fn outer(w: vec4<f32>, x: vec4<f32>) -> mat4x4<f32> {
  return mat4x4<f32>(w * x.x, w * x.y, w * x.z, w * x.w);
}

// The first `count` of 4 weights.
fn product(count: u32, w: mat4x4<f32>, x: mat4x4<f32>) -> mat4x4<f32> {
  if (count > 3u) { return w * x; }
  if (count > 2u) {
    return mat3x4<f32>(w[0], w[1], w[2]) * mat4x3<f32>(x[0].xyz, x[1].xyz, x[2].xyz, x[3].xyz);
  }
  if (count > 1u) {
    return mat2x4<f32>(w[0], w[1]) * mat4x2<f32>(x[0].xy, x[1].xy, x[2].xy, x[3].xy);
  }
  return outer(w[0], vec4<f32>(x[0].x, x[1].x, x[2].x, x[3].x));
}

fn sum(w: Weights, x: Seen) -> mat4x4<f32> {
  var m = product(WEIGHTS, w.a, x.a);
  if (WEIGHTS > 4u) { m += product(WEIGHTS - 4u, w.b, x.b); }
  if (WEIGHTS > 8u) { m += outer(w.c, x.c); }
  return m;
}

// Adds what a row of pixels gets.
fn add(tile: ptr<function, Tile>, own: Weights, other: Weights, s: Source) {
  (*tile).near_own += sum(own, near(s));
  if (DEPTH > 1u) { (*tile).near_other += sum(other, near(s)); }
  if (COLUMNS > 4u) { (*tile).far_own += sum(own, far(s)); }
  if (COLUMNS > 4u && DEPTH > 1u) { (*tile).far_other += sum(other, far(s)); }
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>,
        @builtin(local_invocation_index) index: u32) {
  let linear = (wid.x + wid.y * grid.x) * WORKGROUP + index; // subgroups: let linear = wid.x + wid.y * grid.x;
  let lane = vec2<u32>(); // subgroups: let lane = vec2<u32>(index % 2u, index / 2u);
  let side_blocks = (p.blocks + SIDE - 1u) / SIDE;
  let block = wid.z % side_blocks * SIDE + lane.y;
  let class_number = wid.z / side_blocks;
  let tiles = p.tiles_x * p.tiles_y * p.members;
  let side_tiles = (tiles + SIDE - 1u) / SIDE;
  let tile = linear % side_tiles * SIDE + lane.x;
  let group = linear / side_tiles % p.groups;
  let part = linear / (side_tiles * p.groups);
  if (part >= p.parts) { return; }
  // A tile or block too many does what the last one does, and stores nothing.
  let live_tile = min(tile, tiles - 1u);
  let member = live_tile / (p.tiles_x * p.tiles_y);
  let i = live_tile / p.tiles_x % p.tiles_y * ROWS;
  let j = live_tile % p.tiles_x * COLUMNS;

  // The own row and vec4 of channels: the second ones where there are two.
  let own_row = select(0u, lane.y, ROWS > 1u);
  let own_half = select(0u, lane.x, DEPTH > 1u);
  let first = group * p.source_group + member * p.source_member + class_number * p.source_class +
    i * p.row + j / 4u;
  let own_start = first + own_row * p.row;
  let other_start = first + (1u - own_row) * p.row;
  var at = group * p.weights_group + class_number * p.weights_class +
    min(block, p.blocks - 1u) * p.weights_block + part * p.terms * TAPS * DEPTH;
  var a = Tile();
  var b = Tile();
  var c = Tile();
  let end = (part + 1u) * p.terms;
  for (var k = part * p.terms; k < end; k += TERMS) {
    let offset = offsets[k];
    let own = load_weights(at + own_half);
    var other = Weights();
    if (DEPTH > 1u) { other = other_weights(own, at + 1u - own_half); }
    let row = load_source(own_start, k, offset);
    add(&a, own, other, row);
    if (ROWS > 1u) { add(&b, own, other, other_source(row, other_start, k, offset)); }
    if (ROWS > 2u) { add(&c, own, other, load_source(first + 2u * p.row, k, offset)); }
    if (TAPS > 1u && TERMS > 1u) {
      let offset = offsets[k + 1u];
      let own = load_weights(at + TAPS * DEPTH + own_half);
      var other = Weights();
      if (DEPTH > 1u) { other = other_weights(own, at + TAPS * DEPTH + 1u - own_half); }
      let row = load_source(own_start, k, offset);
      add(&a, own, other, row);
      if (ROWS > 1u) { add(&b, own, other, other_source(row, other_start, k, offset)); }
      if (ROWS > 2u) { add(&c, own, other, load_source(first + 2u * p.row, k, offset)); }
    }
    at += TERMS * TAPS * DEPTH;
  }
  if (tile >= tiles || block >= p.blocks) { return; }

  // One place that stores, and so one copy of the epilogue, for all pixels and channels.
  var pixels = array<vec4<f32>, 32>(
    a.near_own[0], a.near_own[1], a.near_own[2], a.near_own[3],
    a.far_own[0], a.far_own[1], a.far_own[2], a.far_own[3],
    a.near_other[0], a.near_other[1], a.near_other[2], a.near_other[3],
    a.far_other[0], a.far_other[1], a.far_other[2], a.far_other[3],
    b.near_own[0], b.near_own[1], b.near_own[2], b.near_own[3],
    b.far_own[0], b.far_own[1], b.far_own[2], b.far_own[3],
    b.near_other[0], b.near_other[1], b.near_other[2], b.near_other[3],
    b.far_other[0], b.far_other[1], b.far_other[2], b.far_other[3],
  );
  var third = array<vec4<f32>, 16>(
    c.near_own[0], c.near_own[1], c.near_own[2], c.near_own[3],
    c.far_own[0], c.far_own[1], c.far_own[2], c.far_own[3],
    c.near_other[0], c.near_other[1], c.near_other[2], c.near_other[3],
    c.far_other[0], c.far_other[1], c.far_other[2], c.far_other[3],
  );
  let plane = part * p.result_part + group * p.result_group + member * p.result_member;
  let class_h = class_number / p.class_columns;
  let class_w = class_number % p.class_columns;
  for (var q = 0u; q < 16u * ROWS; q++) {
    var v = pixels[q % 32u];
    var h = i + q / 16u;
    if (ROWS > 1u && q < 32u) { h = i + ((q / 16u) ^ own_row); }
    if (ROWS > 2u && q >= 32u) { v = third[q % 16u]; }
    h = h * p.step_h + class_h;
    let w = (j + q % 8u) * p.step_w + class_w;
    let channel = 4u * (block * DEPTH + ((q / 8u % 2u) ^ own_half));
    let used = (COLUMNS > 4u || q % 8u < COLUMNS) && (DEPTH > 1u || q % 16u < 8u);
    if (!used || h >= p.height || w >= p.width) { continue; }
    var to = plane + channel * p.result_channel + h * p.width + w;
    for (var k = channel; k < min(channel + 4u, p.channels); k++) {
      result[to] = epilogue(v.x, to);
      v = v.yzwx;
      to += p.result_channel;
    }
  }
}
