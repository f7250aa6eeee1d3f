// Gradient of gather: dtable[v, d] = sum of dy[i, d] over the positions i with indices[i] = v,
// in the order of i: no atomics, the same bits every time. indices [count] (u32, or i32 as
// u32), dy [count, width], dtable [entries, width]; indices outside the table match nothing. An
// invocation owns 16 columns of one entry and runs over all indices, four to a load: with 16
// columns the scan costs less than the additions it finds, and invocations of one entry, which
// lie side by side, find alike. What was found is added in a loop, since adapters that mask
// branches skip a loop but not a branch: 19 times as fast on SwiftShader with 12,800 indices, 256
// entries and 64 columns. Indices are cut into spans so that no loop exceeds 32,768 trips.
override WORKGROUP: u32 = 64u;
override SPAN: u32 = 4096u; // loads of four indices in the inner loop

struct Params {
  count: u32,
  entries: u32,
  width: u32,
  blocks: u32, // of 16 columns in a row
}

@group(0) @binding(0) var<storage, read> indices: array<vec4<u32>>;
@group(0) @binding(1) var<storage, read> dy: array<f32>;
@group(0) @binding(2) var<storage, read_write> dtable: array<f32>;
@group(0) @binding(3) var<uniform> p: Params;

fn four(k: u32) -> vec4<f32> { return vec4<f32>(dy[k], dy[k + 1u], dy[k + 2u], dy[k + 3u]); }

fn store(k: u32, column: u32, v: vec4<f32>) {
  if (column < p.width) { dtable[k] = v.x; }
  if (column + 1u < p.width) { dtable[k + 1u] = v.y; }
  if (column + 2u < p.width) { dtable[k + 2u] = v.z; }
  if (column + 3u < p.width) { dtable[k + 3u] = v.w; }
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
  let i = (wid.x + wid.y * grid.x) * WORKGROUP + lane;
  if (i >= p.entries * p.blocks) { return; }
  let entry = i / p.blocks;
  let column = (i - entry * p.blocks) * 16u;
  let quads = (p.count + 3u) / 4u;
  var s0 = vec4<f32>();
  var s1 = vec4<f32>();
  var s2 = vec4<f32>();
  var s3 = vec4<f32>();
  for (var start = 0u; start < quads; start += SPAN) {
    let end = min(start + SPAN, quads);
    for (var q = start; q < end; q++) {
      let hit = select(vec4<u32>(), vec4<u32>(1u, 2u, 4u, 8u), indices[q] == vec4<u32>(entry));
      var hits = hit.x | hit.y | hit.z | hit.w;
      // Words behind the last index hold anything.
      hits &= (1u << min(p.count - q * 4u, 4u)) - 1u;
      while (hits != 0u) {
        // Columns behind the row's end are added up as well, but not stored.
        let k = (q * 4u + firstTrailingBit(hits)) * p.width + column;
        s0 += four(k);
        s1 += four(k + 4u);
        s2 += four(k + 8u);
        s3 += four(k + 12u);
        hits &= hits - 1u;
      }
    }
  }
  let k = entry * p.width + column;
  store(k, column, s0);
  store(k + 4u, column + 4u, s1);
  store(k + 8u, column + 8u, s2);
  store(k + 12u, column + 12u, s3);
}
