// Lays out what conv2d_direct reads: three jobs of one dispatch, told apart by the invocation.
// 1. packed_source: rows of `pitch` vec4 of source [images, source_h, source_w] with zeros around:
//    row i, column j of phase (a, b) of an image is source[i·step_h + a + offset_h, j·step_w + b +
//    offset_w]. The phases of a strided convolution turn it into one of stride 1. A row each.
// 2. packed_weights [groups, classes, blocks, terms, TAPS, 4·DEPTH] of kernel: term t = (t1, t2, b,
//    chunk) and tap u of class (ca, cb) stand for row y0 + ca + t2·y_term and column x0 + cb + b +
//    (chunk·TAPS + u)·x_tap of [group, channel, t1]; zero outside of kernel_h × kernel_w, so that a
//    transposed kernel is a matter of signs. A term each.
// 3. packed_offsets [terms], in vec4: where a term's row begins in packed_source. One each.
// A row or a term an invocation: divisions, slow on SwiftShader, are made once for all its loads.
override WORKGROUP: u32 = 16u;
override TAPS: u32 = 3u;
override DEPTH: u32 = 2u;

struct Params {
  source_rows: u32,
  packed_h: u32,
  pitch: u32,
  phases: u32,
  phase_columns: u32,
  step_h: i32,
  step_w: i32,
  offset_h: i32,
  offset_w: i32,
  source_h: i32,
  source_w: i32,
  source_image: i32, // elements of source from one to the next
  source_row: i32,
  source_column: i32,
  weight_terms: u32, // groups · classes · blocks · terms
  classes: u32,
  class_columns: u32,
  blocks: u32,
  terms: u32,
  live_terms: u32, // the others have zero weights
  chunks: u32,
  term_columns: u32, // phases b of a term
  term_rows: u32, // t2
  y0: i32,
  y_term: i32,
  x0: i32,
  x_tap: i32,
  kernel_h: i32,
  kernel_w: i32,
  channels: u32,
  kernel_group: u32, // elements of kernel from one to the next
  kernel_channel: u32,
  kernel_t1: u32,
  offset_t1: u32, // vec4 of packed_source from one to the next
  offset_phase: u32,
  term_step: u32, // t2 = row · term_step + phase row
}

@group(0) @binding(0) var<storage, read> source: array<f32>;
@group(0) @binding(1) var<storage, read> kernel: array<f32>;
@group(0) @binding(2) var<storage, read_write> packed_source: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> packed_weights: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> packed_offsets: array<u32>;
@group(0) @binding(5) var<uniform> p: Params;

fn pixel(first: i32, live: bool, w: i32) -> f32 {
  return select(0.0, source[first + w * p.source_column], live && w >= 0 && w < p.source_w);
}

fn pack_source(k: u32) {
  let plane = k / p.packed_h;
  let phase = plane % p.phases;
  let h = i32(k % p.packed_h) * p.step_h + i32(phase / p.phase_columns) + p.offset_h;
  let live = h >= 0 && h < p.source_h;
  let first = i32(plane / p.phases) * p.source_image + h * p.source_row;
  var w = i32(phase % p.phase_columns) + p.offset_w;
  for (var v = 0u; v < p.pitch; v++) {
    packed_source[k * p.pitch + v] = vec4<f32>(
      pixel(first, live, w),
      pixel(first, live, w + p.step_w),
      pixel(first, live, w + 2 * p.step_w),
      pixel(first, live, w + 3 * p.step_w),
    );
    w += 4 * p.step_w;
  }
}

fn weights4(at: u32, channel: u32, live: bool) -> vec4<f32> {
  return vec4<f32>(
    select(0.0, kernel[at], live && channel < p.channels),
    select(0.0, kernel[at + p.kernel_channel], live && channel + 1u < p.channels),
    select(0.0, kernel[at + 2u * p.kernel_channel], live && channel + 2u < p.channels),
    select(0.0, kernel[at + 3u * p.kernel_channel], live && channel + 3u < p.channels),
  );
}

fn pack_weights(k: u32) {
  let term = k % p.terms;
  let block = k / p.terms % p.blocks;
  let class_number = k / (p.terms * p.blocks) % p.classes;
  let group = k / (p.terms * p.blocks * p.classes);
  let chunk = term % p.chunks;
  let phase = term / p.chunks % p.term_columns;
  let t2 = term / (p.chunks * p.term_columns) % p.term_rows;
  let t1 = term / (p.chunks * p.term_columns * p.term_rows);
  let channel = block * 4u * DEPTH;
  let y = p.y0 + i32(class_number / p.class_columns) + i32(t2) * p.y_term;
  var x = p.x0 + i32(class_number % p.class_columns + phase) + i32(chunk * TAPS) * p.x_tap;
  let live = term < p.live_terms && y >= 0 && y < p.kernel_h;
  let first = group * p.kernel_group + channel * p.kernel_channel + t1 * p.kernel_t1 +
    u32(y * p.kernel_w);
  for (var u = 0u; u < TAPS; u++) {
    let inside = live && x >= 0 && x < p.kernel_w;
    let to = (k * TAPS + u) * DEPTH;
    packed_weights[to] = weights4(first + u32(x), channel, inside);
    if (DEPTH > 1u) {
      packed_weights[to + 1u] = weights4(first + u32(x) + 4u * p.kernel_channel, channel + 4u, inside);
    }
    x += p.x_tap;
  }
}

fn pack_offset(term: u32) {
  let chunk = term % p.chunks;
  let phase = term / p.chunks % p.term_columns;
  let t2 = term / (p.chunks * p.term_columns) % p.term_rows;
  let t1 = term / (p.chunks * p.term_columns * p.term_rows);
  let plane = t2 % p.term_step * p.phase_columns + phase;
  let offset = t1 * p.offset_t1 + plane * p.offset_phase + t2 / p.term_step * p.pitch +
    chunk * TAPS / 4u;
  packed_offsets[term] = select(0u, offset, term < p.live_terms);
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
  let k = (wid.x + wid.y * grid.x) * WORKGROUP + lane;
  if (k < p.source_rows) {
    pack_source(k);
  } else if (k < p.source_rows + p.weight_terms) {
    pack_weights(k - p.source_rows);
  } else if (k < p.source_rows + p.weight_terms + p.terms) {
    pack_offset(k - p.source_rows - p.weight_terms);
  }
}
