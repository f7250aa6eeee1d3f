// Gradients of the contraction by w and b, both in one reading of dy:
//
//   dw[q, k] = sum over tiles m and slices s of dy[base[m] + s plane + o step[m] + r width + c]
//              a[m, s, k],   db[q] = sum of the same dy,   q = (r outputs + o) width + c
//
// dy: the slab; a: [tiles, slices, d]; tiles: as in contraction.wgsl
// dw: [splits, height outputs width, d]; db: [splits, height outputs width]; partial sums over
//   blocks of `tiles_split` tiles when there are several splits
//
// One invocation makes ROWS q x COLS elements along d; addresses of its q within a tile are worked
// out once a tile.
override ROWS: u32 = 16u; // 4, 8 or 16
override COLS: u32 = 8u; // 4 or 8
override LANES: u32 = 8u; // blocks in a workgroup
// Whether d is a multiple of 4, so that rows of a can be read as vectors.
override VECTORS: bool = false;

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

@compute @workgroup_size(LANES)
fn main(
  @builtin(workgroup_id) wid: vec3<u32>,
  @builtin(num_workgroups) grid: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let blocks_j = (p.d + COLS - 1u) / COLS;
  let blocks_i = (p.columns + ROWS - 1u) / ROWS;
  let block = (wid.x + wid.y * grid.x) * LANES + lane;
  let j = block % blocks_j * COLS;
  let i = block / blocks_j % blocks_i * ROWS;
  let part = block / (blocks_j * blocks_i);
  let m_begin = part * p.tiles_split;
  if (m_begin >= p.tiles) { return; }

  var c00 = mat4x4<f32>(); var c01 = mat4x4<f32>();
  var c10 = mat4x4<f32>(); var c11 = mat4x4<f32>();
  var c20 = mat4x4<f32>(); var c21 = mat4x4<f32>();
  var c30 = mat4x4<f32>(); var c31 = mat4x4<f32>();
  var s0 = vec4<f32>(); var s1 = vec4<f32>(); var s2 = vec4<f32>(); var s3 = vec4<f32>();
  let o0 = channels(i);
  let o1 = channels(i + 4u);
  let o2 = channels(i + 8u);
  let o3 = channels(i + 12u);
  let l0 = places(i);
  let l1 = places(i + 4u);
  let l2 = places(i + 8u);
  let l3 = places(i + 12u);
  for (var m = m_begin; m < min(m_begin + p.tiles_split, p.tiles); m++) {
    let tile = tiles[m];
    var q0 = tile.x + o0 * tile.y + l0;
    var q1 = tile.x + o1 * tile.y + l1;
    var q2 = tile.x + o2 * tile.y + l2;
    var q3 = tile.x + o3 * tile.y + l3;
    for (var s = 0u; s < p.slices; s++) {
      let row = m * p.slices + s;
      let u0 = a_row(row, j);
      var u1 = vec4<f32>();
      if (COLS > 4u) { u1 = a_row(row, j + 4u); }
      let v0 = dy_at(q0);
      s0 += v0;
      c00 += outer(u0, v0);
      if (COLS > 4u) { c01 += outer(u1, v0); }
      q0 += vec4<u32>(p.plane);
      if (ROWS > 4u) {
        let v1 = dy_at(q1);
        s1 += v1;
        c10 += outer(u0, v1);
        if (COLS > 4u) { c11 += outer(u1, v1); }
        q1 += vec4<u32>(p.plane);
      }
      if (ROWS > 8u) {
        let v2 = dy_at(q2);
        s2 += v2;
        c20 += outer(u0, v2);
        if (COLS > 4u) { c21 += outer(u1, v2); }
        q2 += vec4<u32>(p.plane);
        let v3 = dy_at(q3);
        s3 += v3;
        c30 += outer(u0, v3);
        if (COLS > 4u) { c31 += outer(u1, v3); }
        q3 += vec4<u32>(p.plane);
      }
    }
  }

  // A loop, because every store that is written out costs software adapters milliseconds to compile;
  // over a copy, because indexed accumulators would not be kept in registers.
  var c = array<mat4x4<f32>, 8>(c00, c01, c10, c11, c20, c21, c30, c31);
  var sums = mat4x4<f32>(s0, s1, s2, s3);
  for (var e = 0u; e < min(ROWS, p.columns - i); e++) {
    let at = part * p.columns + i + e;
    for (var f = 0u; f < min(COLS, p.d - j); f++) {
      dw[at * p.d + j + f] = c[e / 4u * 2u + f / 4u][e % 4u][f % 4u];
    }
    if (j == 0u) { db[at] = sums[e / 4u][e % 4u]; }
  }
}
