// The third rung of matmul: y = a b, 4 x 4 outputs an invocation, straight from storage.
//
// a: [M, K], b: [K, N], y: [M, N], rows [first_row, first_row + rows) of it in one dispatch.
// Eight loads for 16 multiply-adds instead of two for one: what is read stays in registers. Wider
// blocks and vector loads (shaders/matmul_register) and tiles in workgroup memory that feed such
// blocks (shaders/matmul_tile) are the rungs above.
override WORKGROUP: u32 = 8u;

struct Params {
  first_row: u32,
  rows: u32,
  n: u32,
  k: u32,
}

@group(0) @binding(0) var<storage, read> a: array<f32>;
@group(0) @binding(1) var<storage, read> b: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
@group(0) @binding(3) var<uniform> p: Params;

@compute @workgroup_size(WORKGROUP, WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let i = 4u * id.y;
  let j = 4u * id.x;
  if (i >= p.rows || j >= p.n) { return; }
  // Rows and columns beyond the last repeat it.
  let rows = p.first_row + min(vec4<u32>(i, i + 1u, i + 2u, i + 3u), vec4<u32>(p.rows - 1u));
  let cols = min(vec4<u32>(j, j + 1u, j + 2u, j + 3u), vec4<u32>(p.n - 1u));
  var c = mat4x4<f32>();
  for (var k = 0u; k < p.k; k++) {
    let at = k * p.n;
    let bv = vec4<f32>(b[at + cols.x], b[at + cols.y], b[at + cols.z], b[at + cols.w]);
    c[0] += a[rows.x * p.k + k] * bv;
    c[1] += a[rows.y * p.k + k] * bv;
    c[2] += a[rows.z * p.k + k] * bv;
    c[3] += a[rows.w * p.k + k] * bv;
  }
  for (var r = 0u; r < min(4u, p.rows - i); r++) {
    let at = (p.first_row + i + r) * p.n + j;
    for (var q = 0u; q < min(4u, p.n - j); q++) { y[at + q] = c[0][q]; }
    c = mat4x4<f32>(c[1], c[2], c[3], c[3]);
  }
}
