// Storage writes, 4 vec4 a trip. With one workgroup and one trip: what a dispatch costs by itself.
//
// y: [workgroups x TRIPS x 4 x WORKGROUP] vectors.
// A workgroup walks through a run of its own, its invocations side by side, as in read_vec4.
override WORKGROUP: u32 = 64u;
override TRIPS: u32 = 64u;

@group(0) @binding(0) var<storage, read_write> y: array<vec4<f32>>;

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(local_invocation_index) thread: u32,
) {
  let n = WORKGROUP;
  var at = group.x * TRIPS * 4u * n + thread;
  for (var i = 0u; i < TRIPS; i++) {
    y[at] = vec4<f32>(f32(at));
    y[at + n] = vec4<f32>(f32(at));
    y[at + 2u * n] = vec4<f32>(f32(at));
    y[at + 3u * n] = vec4<f32>(f32(at));
    at += 4u * n;
  }
}
