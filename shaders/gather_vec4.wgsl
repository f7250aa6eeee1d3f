// Rows of a table whose width is a multiple of 4: y[i, d] = table[indices[i], d], four d to a
// vector. table [entries, width / 4], indices [count] (i32 bound as u32), y [count, width / 4],
// all as 32-bit words; an index outside the table gives a row of `invalid`, as in gather. One
// vector an invocation.
override WORKGROUP: u32 = 64u;

struct Params {
  elements: u32, // of y, in vectors
  entries: u32,
  width: u32, // in vectors
  invalid: u32,
}

@group(0) @binding(0) var<storage, read> table: array<vec4<u32>>;
@group(0) @binding(1) var<storage, read> indices: array<u32>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4<u32>>;
@group(0) @binding(3) var<uniform> p: Params;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
  let q = (wid.x + wid.y * grid.x) * WORKGROUP + lane;
  if (q >= p.elements) { return; }
  let position = q / p.width;
  let entry = indices[position];
  let valid = entry < p.entries;
  let source = select(0u, entry, valid) * p.width + q - position * p.width;
  y[q] = select(vec4<u32>(p.invalid), table[source], valid);
}
