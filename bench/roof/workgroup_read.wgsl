// Workgroup-memory reads, one vec4 at a time: 8 loads a trip, added up.
//
// y: [invocations], the sums.
// Invocations read neighbouring vectors of a tile of 4 KiB, so that banks do not collide.
override WORKGROUP: u32 = 64u; // at most 256
override TRIPS: u32 = 512u;

@group(0) @binding(0) var<storage, read_write> y: array<f32>;

var<workgroup> tile: array<vec4<f32>, 256>;

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(global_invocation_id) id: vec3<u32>,
  @builtin(local_invocation_index) thread: u32,
) {
  for (var i = thread; i < 256u; i += WORKGROUP) { tile[i] = vec4<f32>(f32(i)); }
  workgroupBarrier();
  var sum = vec4<f32>();
  var at = thread;
  for (var i = 0u; i < TRIPS; i++) {
    sum += tile[at & 255u] + tile[(at + 32u) & 255u] + tile[(at + 64u) & 255u] + tile[(at + 96u) & 255u];
    sum += tile[(at + 128u) & 255u] + tile[(at + 160u) & 255u] + tile[(at + 192u) & 255u] + tile[(at + 224u) & 255u];
    at++;
  }
  y[id.x] = sum.x + sum.y + sum.z + sum.w;
}
