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
override ROWS: u32 = 16u; // 4, 8 or 16
override COLS: u32 = 8u; // 4, 8 or 16
override LANES: u32 = 8u; // blocks in a workgroup
// Whether d is a multiple of 4, so that rows of w can be read as vectors.
override VECTORS: bool = false;

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

// The first `count` elements of v at da[at].
fn store4(v: vec4<f32>, at: u32, count: u32) {
  if (count > 0u) { da[at] = v.x; }
  if (count > 1u) { da[at + 1u] = v.y; }
  if (count > 2u) { da[at + 2u] = v.z; }
  if (count > 3u) { da[at + 3u] = v.w; }
}

@compute @workgroup_size(LANES)
fn main(
  @builtin(workgroup_id) wid: vec3<u32>,
  @builtin(num_workgroups) grid: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let blocks_j = (p.d + COLS - 1u) / COLS;
  let blocks_i = (p.slices + ROWS - 1u) / ROWS;
  let block = (wid.x + wid.y * grid.x) * LANES + lane;
  let j = block % blocks_j * COLS;
  let i = block / blocks_j % blocks_i * ROWS;
  let m = block / (blocks_j * blocks_i);
  if (m >= p.tiles) { return; }

  var c00 = mat4x4<f32>(); var c01 = mat4x4<f32>(); var c02 = mat4x4<f32>(); var c03 = mat4x4<f32>();
  var c10 = mat4x4<f32>(); var c11 = mat4x4<f32>(); var c12 = mat4x4<f32>(); var c13 = mat4x4<f32>();
  var c20 = mat4x4<f32>(); var c21 = mat4x4<f32>(); var c22 = mat4x4<f32>(); var c23 = mat4x4<f32>();
  var c30 = mat4x4<f32>(); var c31 = mat4x4<f32>(); var c32 = mat4x4<f32>(); var c33 = mat4x4<f32>();
  let s0 = starts(i);
  let s1 = starts(i + 4u);
  let s2 = starts(i + 8u);
  let s3 = starts(i + 12u);
  let tile = tiles[m];
  // One loop over q with carries: loops inside loops cost software adapters more than the addresses,
  // with so many accumulators alive. `at` is the place of (o, r, c), in u32 arithmetic that wraps.
  let next_o = tile.y + 1u - p.width;
  let next_r = p.width - p.outputs * tile.y;
  var at = tile.x;
  var o = 0u;
  var c = 0u;
  for (var q = 0u; q < p.height * p.outputs * p.width; q++) {
    let u0 = w_row(q, j);
    var u1 = vec4<f32>(); var u2 = vec4<f32>(); var u3 = vec4<f32>();
    if (COLS > 4u) { u1 = w_row(q, j + 4u); }
    if (COLS > 8u) {
      u2 = w_row(q, j + 8u);
      u3 = w_row(q, j + 12u);
    }
    let v0 = dy_at(s0, at);
    c00 += outer(u0, v0);
    if (COLS > 4u) { c01 += outer(u1, v0); }
    if (COLS > 8u) { c02 += outer(u2, v0); c03 += outer(u3, v0); }
    if (ROWS > 4u) {
      let v1 = dy_at(s1, at);
      c10 += outer(u0, v1);
      if (COLS > 4u) { c11 += outer(u1, v1); }
      if (COLS > 8u) { c12 += outer(u2, v1); c13 += outer(u3, v1); }
    }
    if (ROWS > 8u) {
      let v2 = dy_at(s2, at);
      c20 += outer(u0, v2);
      if (COLS > 4u) { c21 += outer(u1, v2); }
      if (COLS > 8u) { c22 += outer(u2, v2); c23 += outer(u3, v2); }
      let v3 = dy_at(s3, at);
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

  let n = p.d - j;
  // Row by row, the blocks moving up: software adapters take milliseconds to compile a store, and
  // accumulators that are indexed would not be kept in registers.
  for (var e = i; e < min(i + ROWS, p.slices); e++) {
    let at = (m * p.slices + e) * p.d + j;
    store4(c00[0], at, n);
    if (COLS > 4u) { store4(c01[0], at + 4u, max(n, 4u) - 4u); }
    if (COLS > 8u) {
      store4(c02[0], at + 8u, max(n, 8u) - 8u);
      store4(c03[0], at + 12u, max(n, 12u) - 12u);
    }
    c00 = up(c00, c10); c01 = up(c01, c11); c02 = up(c02, c12); c03 = up(c03, c13);
    c10 = up(c10, c20); c11 = up(c11, c21); c12 = up(c12, c22); c13 = up(c13, c23);
    c20 = up(c20, c30); c21 = up(c21, c31); c22 = up(c22, c32); c23 = up(c23, c33);
    c30 = up(c30, c30); c31 = up(c31, c31); c32 = up(c32, c32); c33 = up(c33, c33);
  }
}
