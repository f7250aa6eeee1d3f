// The second rung of matmul: y = a b, still one output an invocation, but tiles of a and b are read
// once a workgroup into workgroup memory and shared from there.
//
// a: [M, K], b: [K, N], y: [M, N], rows [first_row, first_row + rows) of it in one dispatch.
// WORKGROUP times fewer loads from storage. On a GPU that is several times the first rung, and bound
// by workgroup memory: two loads from there for every multiply-add. Software adapters gain nothing:
// their workgroup memory is as slow as storage, and a barrier costs microseconds.
override WORKGROUP: u32 = 16u;

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

var<workgroup> a_tile: array<f32, WORKGROUP * WORKGROUP>;
var<workgroup> b_tile: array<f32, WORKGROUP * WORKGROUP>;

@compute @workgroup_size(WORKGROUP, WORKGROUP)
fn main(
  @builtin(global_invocation_id) id: vec3<u32>,
  @builtin(local_invocation_id) lid: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let row = p.first_row + min(id.y, p.rows - 1u);
  let col = min(id.x, p.n - 1u);
  var sum = 0.0;
  for (var k0 = 0u; k0 < p.k; k0 += WORKGROUP) {
    let ka = k0 + lid.x;
    let kb = k0 + lid.y;
    a_tile[lane] = select(0.0, a[row * p.k + min(ka, p.k - 1u)], ka < p.k);
    b_tile[lane] = select(0.0, b[min(kb, p.k - 1u) * p.n + col], kb < p.k);
    workgroupBarrier();
    for (var k = 0u; k < WORKGROUP; k++) {
      sum += a_tile[lid.y * WORKGROUP + k] * b_tile[k * WORKGROUP + lid.x];
    }
    workgroupBarrier();
  }
  if (id.x < p.n && id.y < p.rows) { y[row * p.n + id.x] = sum; }
}
