// The tensor contraction of a static hypernetwork, scattered into a slab of kernels:
//
//   y[base[m] + s plane + o step[m] + r width + c] = sum over k of w[q, k] a[m, s, k] + b[q],
//   q = (r outputs + o) width + c
//
// a: [tiles, slices, d], w: [height outputs width, d], b: [height outputs width]; a_scalars and
//   w_scalars are the same buffers for rows that are no vectors
// tiles: for each tile m the place base and the step between its output channels in y, then the start
//   and length of the padding behind its layer, which is set to zero
//
// With one slice and one output channel as wide as all of w it is a plain product with bias.
//
// One invocation makes ROWS (m, s) x COLS q outputs in steps of 4 along k, as matmul_register does
// for software adapters; GPUs take 4 x 4 and neighbouring invocations share rows through the cache.
// Addresses are worked out at the end, row by row, so that tiles of different layers mix in a block.
//
// With subgroups, four invocations make a square of 2 x 2 blocks, as in matmul_register.wgsl: each
// loads its own half of the rows and columns and takes the other from its neighbours.
// subgroups: enable subgroups;
override ROWS: u32 = 16u; // 4, 8 or 16
override COLS: u32 = 8u; // 4, 8 or 16
override LANES: u32 = 8u; // blocks in a workgroup
// Whether d is a multiple of 4, so that rows of a and w can be read as vectors.
override VECTORS: bool = false;
// Blocks along a side of what a group of invocations makes.
const SIDE = 1u; // subgroups: const SIDE = 2u;

struct Params {
  // tiles * slices, and slices.
  rows: u32,
  slices: u32,
  d: u32,
  // height * outputs * width
  columns: u32,
  outputs: u32,
  width: u32,
  plane: u32,
}

@group(0) @binding(0) var<storage, read> a: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> a_scalars: array<f32>;
@group(0) @binding(2) var<storage, read> w: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> w_scalars: array<f32>;
@group(0) @binding(4) var<storage, read> b: array<f32>;
@group(0) @binding(5) var<storage, read> tiles: array<vec4<u32>>;
@group(0) @binding(6) var<storage, read_write> y: array<f32>;
@group(0) @binding(7) var<uniform> p: Params;

// Elements k..k+3 of the row that begins at element `at`; zero from d on.
fn a_row(at: u32, k: u32) -> vec4<f32> {
  if (VECTORS) { return a[(at + k) / 4u]; }
  var v = vec4<f32>(a_scalars[at + k], 0.0, 0.0, 0.0);
  if (k + 1u < p.d) { v.y = a_scalars[at + k + 1u]; }
  if (k + 2u < p.d) { v.z = a_scalars[at + k + 2u]; }
  if (k + 3u < p.d) { v.w = a_scalars[at + k + 3u]; }
  return v;
}

fn w_row(at: u32, k: u32) -> vec4<f32> {
  if (VECTORS) { return w[(at + k) / 4u]; }
  var v = vec4<f32>(w_scalars[at + k], 0.0, 0.0, 0.0);
  if (k + 1u < p.d) { v.y = w_scalars[at + k + 1u]; }
  if (k + 2u < p.d) { v.z = w_scalars[at + k + 2u]; }
  if (k + 3u < p.d) { v.w = w_scalars[at + k + 3u]; }
  return v;
}

fn load_a(at: vec4<u32>, k: u32) -> mat4x4<f32> {
  return mat4x4<f32>(a_row(at.x, k), a_row(at.y, k), a_row(at.z, k), a_row(at.w, k));
}

fn load_w(at: vec4<u32>, k: u32) -> mat4x4<f32> {
  return transpose(mat4x4<f32>(w_row(at.x, k), w_row(at.y, k), w_row(at.z, k), w_row(at.w, k)));
}

// The other half of the rows, which the neighbour in x has loaded, and of the columns, of that in y.
fn other_a(own: mat4x4<f32>, at: vec4<u32>, k: u32) -> mat4x4<f32> {
  return load_a(at, k); // subgroups: return mat4x4<f32>(quadSwapX(own[0]), quadSwapX(own[1]), quadSwapX(own[2]), quadSwapX(own[3]));
}

fn other_w(own: mat4x4<f32>, at: vec4<u32>, k: u32) -> mat4x4<f32> {
  return load_w(at, k); // subgroups: return mat4x4<f32>(quadSwapY(own[0]), quadSwapY(own[1]), quadSwapY(own[2]), quadSwapY(own[3]));
}

// Where rows i..i+3 begin, those beyond the last repeating it.
fn starts(i: u32, count: u32) -> vec4<u32> {
  return min(vec4<u32>(i, i + 1u, i + 2u, i + 3u), vec4<u32>(count - 1u)) * p.d;
}

// The rows of four blocks below each other move up by one.
fn up(c: mat4x4<f32>, next: mat4x4<f32>) -> mat4x4<f32> {
  return mat4x4<f32>(c[1], c[2], c[3], next[0]);
}

// q, …, q + 3, those beyond the last repeating it.
fn columns(q: u32) -> vec4<u32> {
  return min(vec4<u32>(q, q + 1u, q + 2u, q + 3u), vec4<u32>(p.columns - 1u));
}

// Their output channels, their places within a plane, and their biases.
fn channels(q: vec4<u32>) -> vec4<u32> {
  return q / p.width % p.outputs;
}

fn places(q: vec4<u32>) -> vec4<u32> {
  return q / (p.width * p.outputs) * p.width + q % p.width;
}

fn biases(q: vec4<u32>) -> vec4<f32> {
  return vec4<f32>(b[q.x], b[q.y], b[q.z], b[q.w]);
}

// The elements of v, columns q..q+3; those beyond the last are left out.
fn store4(v: vec4<f32>, at: vec4<u32>, q: u32) {
  if (q < p.columns) { y[at.x] = v.x; }
  if (q + 1u < p.columns) { y[at.y] = v.y; }
  if (q + 2u < p.columns) { y[at.z] = v.z; }
  if (q + 3u < p.columns) { y[at.w] = v.w; }
}

@compute @workgroup_size(LANES)
fn main(
  @builtin(workgroup_id) wid: vec3<u32>,
  @builtin(num_workgroups) grid: vec3<u32>,
  @builtin(local_invocation_index) index: u32,
) {
  let blocks = (p.columns + SIDE * COLS - 1u) / (SIDE * COLS);
  let block = (wid.x + wid.y * grid.x) * LANES + index; // subgroups: let block = wid.x + wid.y * grid.x;
  let lane = vec2<u32>(); // subgroups: let lane = vec2<u32>(index % 2u, index / 2u);
  if (block / blocks * SIDE * ROWS >= p.rows) { return; }
  let i = (block / blocks * SIDE + lane.y) * ROWS;
  let j = (block % blocks * SIDE + lane.x) * COLS;
  // Half a block's rows and columns; one of 4 is not halved.
  let half = select(vec2<u32>(ROWS, COLS) / 2u, vec2<u32>(), vec2<u32>(ROWS, COLS) == vec2<u32>(4u));
  let own = vec2<u32>(i, j) + lane * half;
  let other = vec2<u32>(i, j) + half - lane * half;

  var c00 = mat4x4<f32>(); var c01 = mat4x4<f32>(); var c02 = mat4x4<f32>(); var c03 = mat4x4<f32>();
  var c10 = mat4x4<f32>(); var c11 = mat4x4<f32>(); var c12 = mat4x4<f32>(); var c13 = mat4x4<f32>();
  var c20 = mat4x4<f32>(); var c21 = mat4x4<f32>(); var c22 = mat4x4<f32>(); var c23 = mat4x4<f32>();
  var c30 = mat4x4<f32>(); var c31 = mat4x4<f32>(); var c32 = mat4x4<f32>(); var c33 = mat4x4<f32>();
  let w0 = starts(own.y, p.columns);
  let w1 = starts(own.y + 4u, p.columns);
  let w2 = starts(other.y, p.columns);
  let w3 = starts(other.y + 4u, p.columns);
  let a0 = starts(own.x, p.rows);
  let a1 = starts(own.x + 4u, p.rows);
  let a2 = starts(other.x, p.rows);
  let a3 = starts(other.x + 4u, p.rows);
  for (var k = 0u; k < p.d; k += 4u) {
    let u0 = load_w(w0, k);
    var u1 = mat4x4<f32>(); var u2 = mat4x4<f32>(); var u3 = mat4x4<f32>();
    if (COLS == 8u) { u1 = other_w(u0, w2, k); }
    if (COLS > 8u) {
      u1 = load_w(w1, k);
      u2 = other_w(u0, w2, k);
      u3 = other_w(u1, w3, k);
    }
    let v0 = load_a(a0, k);
    c00 += u0 * v0;
    if (COLS > 4u) { c01 += u1 * v0; }
    if (COLS > 8u) { c02 += u2 * v0; c03 += u3 * v0; }
    var v1 = mat4x4<f32>();
    if (ROWS == 8u) { v1 = other_a(v0, a2, k); }
    if (ROWS > 8u) { v1 = load_a(a1, k); }
    if (ROWS > 4u) {
      c10 += u0 * v1;
      if (COLS > 4u) { c11 += u1 * v1; }
      if (COLS > 8u) { c12 += u2 * v1; c13 += u3 * v1; }
    }
    if (ROWS > 8u) {
      let v2 = other_a(v0, a2, k);
      c20 += u0 * v2;
      if (COLS > 4u) { c21 += u1 * v2; }
      if (COLS > 8u) { c22 += u2 * v2; c23 += u3 * v2; }
      let v3 = other_a(v1, a3, k);
      c30 += u0 * v3;
      if (COLS > 4u) { c31 += u1 * v3; }
      if (COLS > 8u) { c32 += u2 * v3; c33 += u3 * v3; }
    }
  }

  let q0 = columns(own.y);
  let o0 = channels(q0);
  let l0 = places(q0);
  let b0 = biases(q0);
  var o1 = vec4<u32>(); var o2 = vec4<u32>(); var o3 = vec4<u32>();
  var l1 = vec4<u32>(); var l2 = vec4<u32>(); var l3 = vec4<u32>();
  var b1 = vec4<f32>(); var b2 = vec4<f32>(); var b3 = vec4<f32>();
  // Columns of the second quarter: of 8 the other half.
  let second = select(own.y + 4u, other.y, COLS == 8u);
  if (COLS > 4u) {
    let q1 = columns(second);
    o1 = channels(q1);
    l1 = places(q1);
    b1 = biases(q1);
  }
  if (COLS > 8u) {
    let q2 = columns(other.y);
    let q3 = columns(other.y + 4u);
    o2 = channels(q2);
    l2 = places(q2);
    b2 = biases(q2);
    o3 = channels(q3);
    l3 = places(q3);
    b3 = biases(q3);
  }
  // Row by row, the blocks moving up: software adapters take milliseconds to compile a store, and
  // accumulators that are indexed would not be kept in registers.
  for (var r = 0u; r < ROWS; r++) {
    // The half's bit flipped where the own half is the second one.
    let e = i + (r ^ (lane.x * half.x));
    if (e < p.rows) {
      let tile = tiles[e / p.slices];
      let base = tile.x + e % p.slices * p.plane;
      store4(c00[0] + b0, base + o0 * tile.y + l0, own.y);
      if (COLS > 4u) { store4(c01[0] + b1, base + o1 * tile.y + l1, second); }
      if (COLS > 8u) {
        store4(c02[0] + b2, base + o2 * tile.y + l2, other.y);
        store4(c03[0] + b3, base + o3 * tile.y + l3, other.y + 4u);
      }
    }
    c00 = up(c00, c10);
    if (COLS > 4u) { c01 = up(c01, c11); }
    if (COLS > 8u) { c02 = up(c02, c12); c03 = up(c03, c13); }
    if (ROWS > 4u) {
      c10 = up(c10, c20);
      if (COLS > 4u) { c11 = up(c11, c21); }
      if (COLS > 8u) { c12 = up(c12, c22); c13 = up(c13, c23); }
    }
    if (ROWS > 8u) {
      c20 = up(c20, c30); c30 = up(c30, c30);
      if (COLS > 4u) { c21 = up(c21, c31); c31 = up(c31, c31); }
      if (COLS > 8u) {
        c22 = up(c22, c32); c23 = up(c23, c33);
        c32 = up(c32, c32); c33 = up(c33, c33);
      }
    }
  }

  if (j == 0u) {
    // The block that has a tile's first row sees to the padding noted there.
    for (var row = i; row < min(i + ROWS, p.rows); row++) {
      let tile = tiles[row / p.slices];
      if (row % p.slices == 0u) {
        for (var e = 0u; e < tile.w; e++) { y[tile.z + e] = 0.0; }
      }
    }
  }
}
