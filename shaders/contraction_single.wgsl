// contraction.wgsl for little work, one output an invocation:
//
//   y[base[m] + s plane + o step[m] + r width + c] = sum over k of w[q, k] a[m, s, k] + b[q],
//   q = (r outputs + o) width + c
//
// a: [tiles, slices, d], w: [height outputs width, d], b: [height outputs width]; a_scalars and
//   w_scalars are the same buffers for rows that are no vectors
// tiles: for each tile m the place base and the step between its output channels in y, then the start
//   and length of the padding behind its layer, which is set to zero
//
// Blocks share their loads, but of 8 x 8 take 83 ms of a core to compile in place of 15 (SwiftShader).
override LANES: u32 = 16u;
// Whether d is a multiple of 4, so that rows of a and w can be read as vectors.
override VECTORS: bool = false;

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

// Of elements k to k + 3, or of k alone.
fn product(i: u32, j: u32, k: u32) -> f32 {
  if (VECTORS) { return dot(a[(i + k) / 4u], w[(j + k) / 4u]); }
  return a_scalars[i + k] * w_scalars[j + k];
}

@compute @workgroup_size(LANES)
fn main(
  @builtin(workgroup_id) wid: vec3<u32>,
  @builtin(num_workgroups) grid: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let i = (wid.x + wid.y * grid.x) * LANES + lane;
  if (i >= p.rows * p.columns) { return; }
  let row = i / p.columns;
  let q = i - row * p.columns;
  let m = row / p.slices;
  let s = row - m * p.slices;
  let tile = tiles[m];
  let r = q / (p.width * p.outputs);
  let o = q / p.width - r * p.outputs;
  let at = tile.x + s * p.plane + o * tile.y + r * p.width + q % p.width;
  var sum = 0.0;
  for (var k = 0u; k < p.d; k += select(1u, 4u, VECTORS)) { sum += product(row * p.d, q * p.d, k); }
  y[at] = sum + b[q];
  if (q + s == 0u) {
    for (var e = 0u; e < tile.w; e++) { y[tile.z + e] = 0.0; }
  }
}
