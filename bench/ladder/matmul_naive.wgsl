// The first rung of matmul: y = a b, one output an invocation, nothing reused.
//
// a: [M, K], b: [K, N], y: [M, N], rows [first_row, first_row + rows) of it in one dispatch: a slow
// adapter takes seconds for the whole, which no watchdog likes in a single one.
// Two loads for every multiply-add: the kernel waits for memory and leaves arithmetic idle. What the
// next rungs do about it (tiles, registers, vectors) is in shaders/matmul_tile and matmul_register.
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
  if (id.x >= p.n || id.y >= p.rows) { return; }
  let row = p.first_row + id.y;
  var sum = 0.0;
  for (var i = 0u; i < p.k; i++) {
    sum += a[row * p.k + i] * b[i * p.n + id.x];
  }
  y[row * p.n + id.x] = sum;
}
