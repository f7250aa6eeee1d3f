// Second pass of the mean softmax cross-entropy: adds up what the workgroups of
// softmax_cross_entropy (REDUCE 1) left. loss_parts, correct_parts, total_parts [parts];
// loss[0] = sum of loss_parts / sum of total_parts (0 if all weights are 0), correct[0] and
// total[0] = sums. One workgroup; lane 0 adds the lanes' sums: one barrier, in a fixed order.
override WORKGROUP: u32 = 64u;

struct Params {
  parts: u32,
}

@group(0) @binding(0) var<storage, read> loss_parts: array<f32>;
@group(0) @binding(1) var<storage, read> correct_parts: array<f32>;
@group(0) @binding(2) var<storage, read> total_parts: array<f32>;
@group(0) @binding(3) var<storage, read_write> loss: array<f32>;
@group(0) @binding(4) var<storage, read_write> correct: array<f32>;
@group(0) @binding(5) var<storage, read_write> total: array<f32>;
@group(0) @binding(6) var<uniform> p: Params;

var<workgroup> sums: array<vec3<f32>, WORKGROUP>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(local_invocation_index) lane: u32) {
  var s = vec3<f32>();
  for (var k = lane; k < p.parts; k += WORKGROUP) {
    s += vec3<f32>(loss_parts[k], correct_parts[k], total_parts[k]);
  }
  sums[lane] = s;
  workgroupBarrier();
  if (lane == 0u) {
    var all = vec3<f32>();
    for (var k = 0u; k < WORKGROUP; k++) { all += sums[k]; }
    loss[0] = select(all.x / all.z, all.x, all.z == 0.0);
    correct[0] = all.y;
    total[0] = all.z;
  }
}
