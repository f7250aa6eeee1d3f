// Gradient of gather: dtable[v, d] = sum of dy[i, d] over the positions i with indices[i] = v, in the
// order of i: no atomics, the same bits every time. indices [count] (u32, or i32 as u32), dy
// [count, width], dtable [spans, entries, width]: sums over `span` positions each, added up by
// reduce.wgsl where there are several. Indices outside the table match nothing.
// An invocation owns 16 columns of one entry and runs over the indices of a span, four to a load:
// with 16 columns the scan costs less than the additions it finds, and invocations of one entry,
// which lie side by side, find alike. What was found is added in a loop, since adapters that mask
// branches skip a loop but not a branch. One adapter ends all loops of an invocation after 65,535
// trips together: a span's loads and finds stay below that.
override WORKGROUP: u32 = 64u;

struct Params {
  count: u32,
  entries: u32,
  width: u32,
  blocks: u32, // of 16 columns in a row
  span: u32, // positions, a multiple of 4
  spans: u32,
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
  if (i >= p.spans * p.entries * p.blocks) { return; }
  // Rows of dtable: span by span, entry by entry.
  let row = i / p.blocks;
  let column = (i - row * p.blocks) * 16u;
  let span = row / p.entries;
  let entry = row - span * p.entries;
  let begin = span * (p.span / 4u);
  let end = min(begin + p.span / 4u, (p.count + 3u) / 4u);
  var s0 = vec4<f32>();
  var s1 = vec4<f32>();
  var s2 = vec4<f32>();
  var s3 = vec4<f32>();
  for (var q = begin; q < end; q++) {
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
  let k = row * p.width + column;
  store(k, column, s0);
  store(k + 4u, column + 4u, s1);
  store(k + 8u, column + 8u, s2);
  store(k + 12u, column + 12u, s3);
}
