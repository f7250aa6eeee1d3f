// Lays out what conv2d_direct reads: three jobs of one dispatch, told apart by the invocation.
// 1. packed_source [images, packed_h, phases, pitch]: source [images, source_h, source_w] with zeros
//    around it, column j of phase b in row i being source[i + offset_h, j·step_w + b + offset_w]: phases
//    turn a strided convolution into some of stride 1. A row of vec4 each.
// 2. packed_weights [groups, classes, blocks, terms, TAPS, 4·DEPTH] of kernel: term t = (t1, t2, b,
//    chunk) and tap u of class (ca, cb) stand for row y0 + ca + t2·y_term and column x0 + cb + b +
//    (chunk·TAPS + u)·x_tap of [group, channel, t1]; zero outside of kernel_h × kernel_w, so that a
//    transposed kernel is a matter of signs. A term each.
// 3. packed_offsets [terms], in vec4: where a term's row begins in packed_source. One each.
// A row (or a piece of one) or a term an invocation: divisions, slow on SwiftShader, are made once for all its loads.
override WORKGROUP: u32 = 64u;
override TAPS: u32 = 3u;
override DEPTH: u32 = 2u;

struct Params {
  source_pieces: u32, // images · packed_h · phases · pieces
  pieces: u32, // of a row: one unless its loop would be too long
  piece: u32, // in vec4
  packed_h: u32,
  phases: u32,
  pitch: u32, // of a row, in vec4
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
  term_phases: u32, // b
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
  offset_t2: u32,
  offset_chunk: u32,
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

fn pack_source(at: u32) {
  let k = at / p.pieces;
  let begin = (at - k * p.pieces) * p.piece;
  let end = min(begin + p.piece, p.pitch);
  let by_row = k / p.phases;
  let image = by_row / p.packed_h;
  let h = i32(by_row - image * p.packed_h) + p.offset_h;
  let live = h >= 0 && h < p.source_h;
  let first = i32(image) * p.source_image + h * p.source_row;
  var w = i32(k - by_row * p.phases) + p.offset_w + 4 * i32(begin) * p.step_w;
  for (var v = begin; v < end; v++) {
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

// A term's indices.
struct Term {
  t1: u32,
  t2: u32,
  phase: u32,
  chunk: u32,
}

fn term_of(t: u32) -> Term {
  let by_chunk = t / p.chunks;
  let by_phase = by_chunk / p.term_phases;
  let by_row = by_phase / p.term_rows;
  return Term(
    by_row,
    by_phase - by_row * p.term_rows,
    by_chunk - by_phase * p.term_phases,
    t - by_chunk * p.chunks,
  );
}

fn pack_weights(k: u32) {
  let by_term = k / p.terms;
  let by_block = by_term / p.blocks;
  let group = by_block / p.classes;
  let term = k - by_term * p.terms;
  let block = by_term - by_block * p.blocks;
  let class_number = by_block - group * p.classes;
  let class_row = class_number / p.class_columns;
  let class_column = class_number - class_row * p.class_columns;
  let t = term_of(term);
  let channel = block * 4u * DEPTH;
  let y = p.y0 + i32(class_row) + i32(t.t2) * p.y_term;
  var x = p.x0 + i32(class_column + t.phase) + i32(t.chunk * TAPS) * p.x_tap;
  let live = term < p.live_terms && y >= 0 && y < p.kernel_h;
  let first = group * p.kernel_group + channel * p.kernel_channel + t.t1 * p.kernel_t1 +
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
  let t = term_of(term);
  let offset = t.t1 * p.offset_t1 + t.t2 * p.offset_t2 + t.phase * p.pitch + t.chunk * p.offset_chunk;
  packed_offsets[term] = select(0u, offset, term < p.live_terms);
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
  let k = (wid.x + wid.y * grid.x) * WORKGROUP + lane;
  if (k < p.source_pieces) {
    pack_source(k);
  } else if (k < p.source_pieces + p.weight_terms) {
    pack_weights(k - p.source_pieces);
  } else if (k < p.source_pieces + p.weight_terms + p.terms) {
    pack_offset(k - p.source_pieces - p.weight_terms);
  }
}
