// Gradient of the contraction by a:
//
//   da[m, s, k] = sum over q of dy[base[m] + s plane + o step[m] + r width + c] w[q, k],
//   q = (r outputs + o) width + c
//
// dy: the slab; w: [height outputs width, d], w_scalars the same buffer for rows that are no
// vectors; da: [tiles, slices, d]; tiles: as in contraction.wgsl.
//
// One invocation makes ROWS slices of one tile x COLS elements along d: the block stays in one
// tile, so that only its base and step are needed, and dy is read in place, without a gathered copy.
//
// With subgroups, four invocations make a square of 2 x 2 blocks, as in matmul_register.wgsl: each
// loads its own half of the rows and columns and takes the other from its neighbours.
// subgroups: enable subgroups;
override ROWS: u32 = 16u; // 4, 8 or 16
override COLS: u32 = 8u; // 4, 8 or 16
override LANES: u32 = 8u; // blocks in a workgroup
// Whether d is a multiple of 4, so that rows of w can be read as vectors.
override VECTORS: bool = false;
// Blocks along a side of what a group of invocations makes.
const SIDE = 1u; // subgroups: const SIDE = 2u;

struct Params {
  tiles: u32,
  slices: u32,
  d: u32,
  height: u32,
  outputs: u32,
  width: u32,
  plane: u32,
}

@group(0) @binding(0) var<storage, read> dy: array<f32>;
@group(0) @binding(1) var<storage, read> w: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> w_scalars: array<f32>;
@group(0) @binding(3) var<storage, read> tiles: array<vec4<u32>>;
@group(0) @binding(4) var<storage, read_write> da: array<f32>;
@group(0) @binding(5) var<uniform> p: Params;

// Elements k..k+3 of row q of w; those from d on are not stored and may be anything.
fn w_row(q: u32, k: u32) -> vec4<f32> {
  let at = q * p.d + min(k, p.d - 1u);
  if (VECTORS) { return w[at / 4u]; }
  var v = vec4<f32>(w_scalars[at], 0.0, 0.0, 0.0);
  if (k + 1u < p.d) { v.y = w_scalars[at + 1u]; }
  if (k + 2u < p.d) { v.z = w_scalars[at + 2u]; }
  if (k + 3u < p.d) { v.w = w_scalars[at + 3u]; }
  return v;
}

fn dy_at(at: vec4<u32>, offset: u32) -> vec4<f32> {
  return vec4<f32>(dy[at.x + offset], dy[at.y + offset], dy[at.z + offset], dy[at.w + offset]);
}

// The other half of the rows, which the neighbour in x has loaded, and of the columns, of that in y.
fn other_dy(own: vec4<f32>, at: vec4<u32>, offset: u32) -> vec4<f32> {
  return dy_at(at, offset); // subgroups: return quadSwapX(own);
}

fn other_w(own: vec4<f32>, q: u32, k: u32) -> vec4<f32> {
  return w_row(q, k); // subgroups: return quadSwapY(own);
}

// Column r is u times the r-th element of v.
fn outer(u: vec4<f32>, v: vec4<f32>) -> mat4x4<f32> {
  return mat4x4<f32>(u * v.x, u * v.y, u * v.z, u * v.w);
}

// Where slices i..i+3 begin in a tile, those beyond the last repeating it.
fn starts(i: u32) -> vec4<u32> {
  return min(vec4<u32>(i, i + 1u, i + 2u, i + 3u), vec4<u32>(p.slices - 1u)) * p.plane;
}

// The rows of four blocks below each other move up by one.
fn up(c: mat4x4<f32>, next: mat4x4<f32>) -> mat4x4<f32> {
  return mat4x4<f32>(c[1], c[2], c[3], next[0]);
}

// Elements k..k+3 of the row of da that begins at `row`; those from d on are left out.
fn store_row(v: vec4<f32>, row: u32, k: u32) {
  let at = row + k;
  if (k < p.d) { da[at] = v.x; }
  if (k + 1u < p.d) { da[at + 1u] = v.y; }
  if (k + 2u < p.d) { da[at + 2u] = v.z; }
  if (k + 3u < p.d) { da[at + 3u] = v.w; }
}

@compute @workgroup_size(LANES)
fn main(
  @builtin(workgroup_id) wid: vec3<u32>,
  @builtin(num_workgroups) grid: vec3<u32>,
  @builtin(local_invocation_index) index: u32,
) {
  let blocks_j = (p.d + SIDE * COLS - 1u) / (SIDE * COLS);
  let blocks_i = (p.slices + SIDE * ROWS - 1u) / (SIDE * ROWS);
  let block = (wid.x + wid.y * grid.x) * LANES + index; // subgroups: let block = wid.x + wid.y * grid.x;
  let lane = vec2<u32>(); // subgroups: let lane = vec2<u32>(index % 2u, index / 2u);
  let j = (block % blocks_j * SIDE + lane.x) * COLS;
  let i = (block / blocks_j % blocks_i * SIDE + lane.y) * ROWS;
  // Half a block's rows and columns; one of 4 is not halved.
  let half = select(vec2<u32>(ROWS, COLS) / 2u, vec2<u32>(), vec2<u32>(ROWS, COLS) == vec2<u32>(4u));
  let own = vec2<u32>(i, j) + lane * half;
  let other = vec2<u32>(i, j) + half - lane * half;
  let m = block / (blocks_j * blocks_i);
  if (m >= p.tiles) { return; }

  var c00 = mat4x4<f32>(); var c01 = mat4x4<f32>(); var c02 = mat4x4<f32>(); var c03 = mat4x4<f32>();
  var c10 = mat4x4<f32>(); var c11 = mat4x4<f32>(); var c12 = mat4x4<f32>(); var c13 = mat4x4<f32>();
  var c20 = mat4x4<f32>(); var c21 = mat4x4<f32>(); var c22 = mat4x4<f32>(); var c23 = mat4x4<f32>();
  var c30 = mat4x4<f32>(); var c31 = mat4x4<f32>(); var c32 = mat4x4<f32>(); var c33 = mat4x4<f32>();
  let s0 = starts(own.x);
  let s1 = starts(own.x + 4u);
  let s2 = starts(other.x);
  let s3 = starts(other.x + 4u);
  let tile = tiles[m];
  // One loop over q with carries: loops inside loops cost software adapters more than the addresses,
  // with so many accumulators alive. `at` is the place of (o, r, c), in u32 arithmetic that wraps.
  let next_o = tile.y + 1u - p.width;
  let next_r = p.width - p.outputs * tile.y;
  var at = tile.x;
  var o = 0u;
  var c = 0u;
  for (var q = 0u; q < p.height * p.outputs * p.width; q++) {
    let u0 = w_row(q, own.y);
    var u1 = vec4<f32>(); var u2 = vec4<f32>(); var u3 = vec4<f32>();
    if (COLS == 8u) { u1 = other_w(u0, q, other.y); }
    if (COLS > 8u) {
      u1 = w_row(q, own.y + 4u);
      u2 = other_w(u0, q, other.y);
      u3 = other_w(u1, q, other.y + 4u);
    }
    let v0 = dy_at(s0, at);
    c00 += outer(u0, v0);
    if (COLS > 4u) { c01 += outer(u1, v0); }
    if (COLS > 8u) { c02 += outer(u2, v0); c03 += outer(u3, v0); }
    var v1 = vec4<f32>();
    if (ROWS == 8u) { v1 = other_dy(v0, s2, at); }
    if (ROWS > 8u) { v1 = dy_at(s1, at); }
    if (ROWS > 4u) {
      c10 += outer(u0, v1);
      if (COLS > 4u) { c11 += outer(u1, v1); }
      if (COLS > 8u) { c12 += outer(u2, v1); c13 += outer(u3, v1); }
    }
    if (ROWS > 8u) {
      let v2 = other_dy(v0, s2, at);
      c20 += outer(u0, v2);
      if (COLS > 4u) { c21 += outer(u1, v2); }
      if (COLS > 8u) { c22 += outer(u2, v2); c23 += outer(u3, v2); }
      let v3 = other_dy(v1, s3, at);
      c30 += outer(u0, v3);
      if (COLS > 4u) { c31 += outer(u1, v3); }
      if (COLS > 8u) { c32 += outer(u2, v3); c33 += outer(u3, v3); }
    }
    c++;
    let end_of_row = c == p.width;
    at += select(1u, next_o, end_of_row);
    c = select(c, 0u, end_of_row);
    o += select(0u, 1u, end_of_row);
    let end_of_channels = o == p.outputs;
    at += select(0u, next_r, end_of_channels);
    o = select(o, 0u, end_of_channels);
  }

  // Row by row, the blocks moving up: software adapters take milliseconds to compile a store, and
  // accumulators that are indexed would not be kept in registers.
  for (var r = 0u; r < ROWS; r++) {
    // The half's bit flipped where the own half is the second one.
    let e = i + (r ^ (lane.x * half.x));
    if (e < p.slices) {
      let row = (m * p.slices + e) * p.d;
      store_row(c00[0], row, own.y);
      if (COLS == 8u) { store_row(c01[0], row, other.y); }
      if (COLS > 8u) {
        store_row(c01[0], row, own.y + 4u);
        store_row(c02[0], row, other.y);
        store_row(c03[0], row, other.y + 4u);
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
}
