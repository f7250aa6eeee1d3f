// Lays out what conv2d_direct reads: three jobs of one dispatch, told apart by the invocation.
// 1. packed_source [images, packed_h, phases, pitch]: source [images, source_h, source_w] with zeros
//    around it, column j of phase b in row i being source[i + offset_h, j·step_w + b + offset_w]: phases
//    turn a strided convolution into some of stride 1. A row of vec4 each.
// 2. packed_weights [groups, classes, blocks, terms, taps, 4·depth] of kernel: term t = (t1, t2, b,
//    chunk) and tap u of class (ca, cb) stand for row y0 + ca + t2·y_term and column x0 + cb + b +
//    (chunk·taps + u)·x_tap of [group, channel, t1]; zero outside of kernel_h × kernel_w, so that a
//    transposed kernel is a matter of signs. A term each.
// 3. packed_offsets [terms], in vec4: where a term's row begins in packed_source. One each.
// A row (or a piece of one) or a term an invocation: divisions, slow on SwiftShader, are made once for all its loads.
override WORKGROUP: u32 = 64u;

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
  taps: u32, // of a chunk
  depth: u32, // vec4 of channels in a block
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

fn pack_source(at: u32) {
  let k = at / p.pieces;
  let begin = (at - k * p.pieces) * p.piece;
  let end = min(begin + p.piece, p.pitch);
  let by_row = k / p.phases;
  let image = by_row / p.packed_h;
  let h = i32(by_row - image * p.packed_h) + p.offset_h;
  // As a number without sign, what is negative is too large as well.
  let width = select(0u, u32(p.source_w), u32(h) < u32(p.source_h));
  let first = i32(image) * p.source_image + h * p.source_row;
  let columns = vec4<i32>(0, 1, 2, 3) * p.step_w;
  var w = columns + i32(k - by_row * p.phases) + p.offset_w + 4 * i32(begin) * p.step_w;
  for (var v = begin; v < end; v++) {
    let at = first + w * p.source_column;
    let x = vec4<f32>(source[at.x], source[at.y], source[at.z], source[at.w]);
    packed_source[k * p.pitch + v] = select(vec4<f32>(), x, vec4<u32>(w) < vec4<u32>(width));
    w += 4 * p.step_w;
  }
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

fn pack_weights(k: u32, t: Term, live_term: bool) {
  let by_block = k / p.terms / p.blocks;
  let group = by_block / p.classes;
  let block = k / p.terms - by_block * p.blocks;
  let class_number = by_block - group * p.classes;
  let class_row = class_number / p.class_columns;
  let class_column = class_number - class_row * p.class_columns;
  let channel = block * 4u * p.depth;
  let y = p.y0 + i32(class_row) + i32(t.t2) * p.y_term;
  var x = p.x0 + i32(class_column + t.phase) + i32(t.chunk * p.taps) * p.x_tap;
  let width = select(0u, u32(p.kernel_w), live_term && u32(y) < u32(p.kernel_h));
  let first = group * p.kernel_group + channel * p.kernel_channel + t.t1 * p.kernel_t1 +
    u32(y * p.kernel_w);
  var to = k * p.taps * p.depth;
  for (var u = 0u; u < p.taps; u++) {
    // Channels that there are of this tap.
    let channels = select(0u, p.channels, u32(x) < width);
    for (var v = 0u; v < p.depth; v++) {
      let o = vec4<u32>(0u, 1u, 2u, 3u) + 4u * v;
      let at = first + u32(x) + o * p.kernel_channel;
      let weights = vec4<f32>(kernel[at.x], kernel[at.y], kernel[at.z], kernel[at.w]);
      packed_weights[to] = select(vec4<f32>(), weights, o + channel < vec4<u32>(channels));
      to++;
    }
    x += p.x_tap;
  }
}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
  let k = (wid.x + wid.y * grid.x) * WORKGROUP + lane;
  if (k < p.source_pieces) {
    pack_source(k);
    return;
  }
  // Weights, then offsets, each term by term.
  let w = k - p.source_pieces;
  let term = w % p.terms;
  let t = term_of(term);
  let live = term < p.live_terms;
  if (w < p.weight_terms) {
    pack_weights(w, t, live);
  } else if (w < p.weight_terms + p.terms) {
    let offset =
      t.t1 * p.offset_t1 + t.t2 * p.offset_t2 + t.phase * p.pitch + t.chunk * p.offset_chunk;
    packed_offsets[term] = select(0u, offset, live);
  }
}
