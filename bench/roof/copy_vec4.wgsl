// Storage copy, 4 vec4 a trip.
//
// x, y: [workgroups x TRIPS x 4 x WORKGROUP] vectors.
// A workgroup walks through a run of its own, its invocations side by side, as in read_vec4.
override WORKGROUP: u32 = 64u;
override TRIPS: u32 = 64u;

@group(0) @binding(0) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read_write> y: array<vec4<f32>>;

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(local_invocation_index) thread: u32,
) {
  let n = WORKGROUP;
  var at = group.x * TRIPS * 4u * n + thread;
  for (var i = 0u; i < TRIPS; i++) {
    y[at] = x[at];
    y[at + n] = x[at + n];
    y[at + 2u * n] = x[at + 2u * n];
    y[at + 3u * n] = x[at + 3u * n];
    at += 4u * n;
  }
}
