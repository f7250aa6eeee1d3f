// Adds up the partial gradients of contraction_gradient_w over its splits, both in one dispatch:
// dw[e] = sum over s of dw_parts[s, e], db of db_parts likewise. One invocation an element, fixed order.
override WORKGROUP: u32 = 64u;

struct Params {
  splits: u32,
  dw_size: u32,
  db_size: u32,
}

@group(0) @binding(0) var<storage, read> dw_parts: array<f32>;
@group(0) @binding(1) var<storage, read> db_parts: array<f32>;
@group(0) @binding(2) var<storage, read_write> dw: array<f32>;
@group(0) @binding(3) var<storage, read_write> db: array<f32>;
@group(0) @binding(4) var<uniform> p: Params;

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) wid: vec3<u32>,
  @builtin(num_workgroups) grid: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let e = (wid.x + wid.y * grid.x) * WORKGROUP + lane;
  var sum = 0.0;
  if (e < p.dw_size) {
    for (var s = 0u; s < p.splits; s++) { sum += dw_parts[s * p.dw_size + e]; }
    dw[e] = sum;
  } else if (e < p.dw_size + p.db_size) {
    let f = e - p.dw_size;
    for (var s = 0u; s < p.splits; s++) { sum += db_parts[s * p.db_size + f]; }
    db[f] = sum;
  }
}
