// Gradients of the contraction by w and b, both in one reading of dy:
//
//   dw[q, k] = sum over tiles m and slices s of dy[base[m] + s plane + o step[m] + r width + c]
//              a[m, s, k],   db[q] = sum of the same dy,   q = (r outputs + o) width + c
//
// dy: the slab; a: [tiles, slices, d], a_scalars the same buffer for rows that are no vectors;
// tiles: as in contraction.wgsl
// dw: [splits, height outputs width, d]; db: [splits, height outputs width]; partial sums over
//   blocks of `tiles_split` tiles when there are several splits
//
// One invocation makes ROWS q x COLS elements along d.
//
// With subgroups, four invocations make a square of 2 x 2 blocks, as in matmul_register.wgsl: each
// loads its own half of the rows and columns and takes the other from its neighbours.
// subgroups: enable subgroups;
override ROWS: u32 = 16u; // 4, 8 or 16
override COLS: u32 = 8u; // 4, 8 or 16
override LANES: u32 = 8u; // blocks in a workgroup
// Whether d is a multiple of 4, so that rows of a can be read as vectors.
override VECTORS: bool = false;
// Blocks along a side of what a group of invocations makes.
const SIDE = 1u; // subgroups: const SIDE = 2u;

struct Params {
  tiles: u32,
  tiles_split: u32,
  slices: u32,
  d: u32,
  // height * outputs * width
  columns: u32,
  outputs: u32,
  width: u32,
  plane: u32,
}

@group(0) @binding(0) var<storage, read> dy: array<f32>;
@group(0) @binding(1) var<storage, read> a: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> a_scalars: array<f32>;
@group(0) @binding(3) var<storage, read> tiles: array<vec4<u32>>;
@group(0) @binding(4) var<storage, read_write> dw: array<f32>;
@group(0) @binding(5) var<storage, read_write> db: array<f32>;
@group(0) @binding(6) var<uniform> p: Params;

// Elements k..k+3 of row i of a; those from d on are not stored and may be anything.
fn a_row(i: u32, k: u32) -> vec4<f32> {
  let at = i * p.d + min(k, p.d - 1u);
  if (VECTORS) { return a[at / 4u]; }
  var v = vec4<f32>(a_scalars[at], 0.0, 0.0, 0.0);
  if (k + 1u < p.d) { v.y = a_scalars[at + 1u]; }
  if (k + 2u < p.d) { v.z = a_scalars[at + 2u]; }
  if (k + 3u < p.d) { v.w = a_scalars[at + 3u]; }
  return v;
}

fn dy_at(at: vec4<u32>) -> vec4<f32> {
  return vec4<f32>(dy[at.x], dy[at.y], dy[at.z], dy[at.w]);
}

// The other half of the rows, which the neighbour in x has loaded, and of the columns, of that in y.
fn other_dy(own: vec4<f32>, at: vec4<u32>) -> vec4<f32> {
  return dy_at(at); // subgroups: return quadSwapX(own);
}

fn other_a(own: vec4<f32>, i: u32, k: u32) -> vec4<f32> {
  return a_row(i, k); // subgroups: return quadSwapY(own);
}

// Column r is u times the r-th element of v.
fn outer(u: vec4<f32>, v: vec4<f32>) -> mat4x4<f32> {
  return mat4x4<f32>(u * v.x, u * v.y, u * v.z, u * v.w);
}

// Output channels of q..q+3 (those beyond the last repeat it), and their places within a kernel.
fn channels(q: u32) -> vec4<u32> {
  let at = min(vec4<u32>(q, q + 1u, q + 2u, q + 3u), vec4<u32>(p.columns - 1u));
  return at / p.width % p.outputs;
}

fn places(q: u32) -> vec4<u32> {
  let at = min(vec4<u32>(q, q + 1u, q + 2u, q + 3u), vec4<u32>(p.columns - 1u));
  return at / (p.width * p.outputs) * p.width + at % p.width;
}

// The rows of four blocks below each other move up by one.
fn up(c: mat4x4<f32>, next: mat4x4<f32>) -> mat4x4<f32> {
  return mat4x4<f32>(c[1], c[2], c[3], next[0]);
}

// Elements k..k+3 of the row of dw that begins at `row`; those from d on are left out.
fn store_row(v: vec4<f32>, row: u32, k: u32) {
  let at = row + k;
  if (k < p.d) { dw[at] = v.x; }
  if (k + 1u < p.d) { dw[at + 1u] = v.y; }
  if (k + 2u < p.d) { dw[at + 2u] = v.z; }
  if (k + 3u < p.d) { dw[at + 3u] = v.w; }
}

@compute @workgroup_size(LANES)
fn main(
  @builtin(workgroup_id) wid: vec3<u32>,
  @builtin(num_workgroups) grid: vec3<u32>,
  @builtin(local_invocation_index) index: u32,
) {
  let blocks_j = (p.d + SIDE * COLS - 1u) / (SIDE * COLS);
  let blocks_i = (p.columns + SIDE * ROWS - 1u) / (SIDE * ROWS);
  let block = (wid.x + wid.y * grid.x) * LANES + index; // subgroups: let block = wid.x + wid.y * grid.x;
  let lane = vec2<u32>(); // subgroups: let lane = vec2<u32>(index % 2u, index / 2u);
  let j = (block % blocks_j * SIDE + lane.x) * COLS;
  let i = (block / blocks_j % blocks_i * SIDE + lane.y) * ROWS;
  // Half a block's rows and columns; one of 4 is not halved.
  let half = select(vec2<u32>(ROWS, COLS) / 2u, vec2<u32>(), vec2<u32>(ROWS, COLS) == vec2<u32>(4u));
  let own = vec2<u32>(i, j) + lane * half;
  let other = vec2<u32>(i, j) + half - lane * half;
  let part = block / (blocks_j * blocks_i);
  let m_begin = part * p.tiles_split;
  if (m_begin >= p.tiles) { return; }

  var c00 = mat4x4<f32>(); var c01 = mat4x4<f32>(); var c02 = mat4x4<f32>(); var c03 = mat4x4<f32>();
  var c10 = mat4x4<f32>(); var c11 = mat4x4<f32>(); var c12 = mat4x4<f32>(); var c13 = mat4x4<f32>();
  var c20 = mat4x4<f32>(); var c21 = mat4x4<f32>(); var c22 = mat4x4<f32>(); var c23 = mat4x4<f32>();
  var c30 = mat4x4<f32>(); var c31 = mat4x4<f32>(); var c32 = mat4x4<f32>(); var c33 = mat4x4<f32>();
  var s0 = vec4<f32>(); var s1 = vec4<f32>(); var s2 = vec4<f32>(); var s3 = vec4<f32>();
  let o0 = channels(own.x);
  let o1 = channels(own.x + 4u);
  let o2 = channels(other.x);
  let o3 = channels(other.x + 4u);
  let l0 = places(own.x);
  let l1 = places(own.x + 4u);
  let l2 = places(other.x);
  let l3 = places(other.x + 4u);
  // One loop over all slices of all tiles: a loop inside a loop costs software adapters as much as
  // two steps of it, with so many accumulators alive, and addresses are cheap beside that.
  let end = min(m_begin + p.tiles_split, p.tiles) * p.slices;
  for (var row = m_begin * p.slices; row < end; row++) {
    let m = row / p.slices;
    let base = tiles[m].x + row % p.slices * p.plane;
    let step = tiles[m].y;
    let u0 = a_row(row, own.y);
    var u1 = vec4<f32>(); var u2 = vec4<f32>(); var u3 = vec4<f32>();
    if (COLS == 8u) { u1 = other_a(u0, row, other.y); }
    if (COLS > 8u) {
      u1 = a_row(row, own.y + 4u);
      u2 = other_a(u0, row, other.y);
      u3 = other_a(u1, row, other.y + 4u);
    }
    let v0 = dy_at(base + o0 * step + l0);
    s0 += v0;
    c00 += outer(u0, v0);
    if (COLS > 4u) { c01 += outer(u1, v0); }
    if (COLS > 8u) { c02 += outer(u2, v0); c03 += outer(u3, v0); }
    var v1 = vec4<f32>();
    if (ROWS == 8u) { v1 = other_dy(v0, base + o2 * step + l2); }
    if (ROWS > 8u) { v1 = dy_at(base + o1 * step + l1); }
    if (ROWS > 4u) {
      s1 += v1;
      c10 += outer(u0, v1);
      if (COLS > 4u) { c11 += outer(u1, v1); }
      if (COLS > 8u) { c12 += outer(u2, v1); c13 += outer(u3, v1); }
    }
    if (ROWS > 8u) {
      let v2 = other_dy(v0, base + o2 * step + l2);
      s2 += v2;
      c20 += outer(u0, v2);
      if (COLS > 4u) { c21 += outer(u1, v2); }
      if (COLS > 8u) { c22 += outer(u2, v2); c23 += outer(u3, v2); }
      let v3 = other_dy(v1, base + o3 * step + l3);
      s3 += v3;
      c30 += outer(u0, v3);
      if (COLS > 4u) { c31 += outer(u1, v3); }
      if (COLS > 8u) { c32 += outer(u2, v3); c33 += outer(u3, v3); }
    }
  }

  // Row by row, the blocks moving up: software adapters take milliseconds to compile a store, and
  // accumulators that are indexed would not be kept in registers.
  for (var r = 0u; r < ROWS; r++) {
    // The half's bit flipped where the own half is the second one.
    let e = i + (r ^ (lane.x * half.x));
    if (e < p.columns) {
      let row = (part * p.columns + e) * p.d;
      store_row(c00[0], row, own.y);
      if (COLS == 8u) { store_row(c01[0], row, other.y); }
      if (COLS > 8u) {
        store_row(c01[0], row, own.y + 4u);
        store_row(c02[0], row, other.y);
        store_row(c03[0], row, other.y + 4u);
      }
      if (j == 0u) { db[part * p.columns + e] = s0.x; }
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
    s0 = vec4<f32>(s0.yzw, s1.x); s1 = vec4<f32>(s1.yzw, s2.x);
    s2 = vec4<f32>(s2.yzw, s3.x); s3 = vec4<f32>(s3.yzw, s3.x);
  }
}
