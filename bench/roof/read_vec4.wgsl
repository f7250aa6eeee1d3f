// Storage reads, one vec4 at a time: 8 loads a trip, added up.
//
// x: [workgroups x TRIPS x 8 x WORKGROUP] vectors, read once; y: [invocations], the sums.
// A workgroup walks through a run of its own, its invocations side by side: whole cache lines on
// CPUs, coalesced on GPUs.
override WORKGROUP: u32 = 64u;
override TRIPS: u32 = 32u;

@group(0) @binding(0) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(local_invocation_index) thread: u32,
) {
  let n = WORKGROUP;
  var at = group.x * TRIPS * 8u * n + thread;
  var sum = vec4<f32>();
  for (var i = 0u; i < TRIPS; i++) {
    sum += (x[at] + x[at + n]) + (x[at + 2u * n] + x[at + 3u * n]);
    sum += (x[at + 4u * n] + x[at + 5u * n]) + (x[at + 6u * n] + x[at + 7u * n]);
    at += 8u * n;
  }
  y[group.x * n + thread] = sum.x + sum.y + sum.z + sum.w;
}
