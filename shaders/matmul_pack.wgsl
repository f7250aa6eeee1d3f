// Copies the rows of x [rows, cols] into y [rows, stride] with stride >= cols a multiple of 4 and
// zeros in between, so that matrix kernels can read rows as 4-element vectors. One invocation
// writes one vector; next to a product with 40 or more outputs per element its cost is small.
override WORKGROUP: u32 = 64u;

struct Params {
  rows: u32,
  cols: u32,
  // Vectors in a row of y.
  stride: u32,
}

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<vec4<f32>>;
@group(0) @binding(2) var<uniform> p: Params;

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) wid: vec3<u32>,
  @builtin(num_workgroups) grid: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let i = (wid.x + wid.y * grid.x) * WORKGROUP + lane;
  if (i >= p.rows * p.stride) { return; }
  let col = i % p.stride * 4u;
  let at = i / p.stride * p.cols + col;
  var v = vec4<f32>(x[at], 0.0, 0.0, 0.0);
  if (col + 1u < p.cols) { v.y = x[at + 1u]; }
  if (col + 2u < p.cols) { v.z = x[at + 2u]; }
  if (col + 3u < p.cols) { v.w = x[at + 3u]; }
  y[i] = v;
}
