import type { ModelName } from "../train/models";

/** One sentence on each model. */
export const modelSummaries: Readonly<Record<ModelName, string>> = {
  cnn: "two convolutions and a dense layer, all weights direct",
  "hyper-cnn": "the same network, its second kernel generated from an embedding",
  wrn: "a Wide ResNet, all kernels direct",
  "hyper-wrn": "a Wide ResNet, all 3×3 kernels behind the stem made by one generator",
  "shared-wrn": "a Wide ResNet, the layers of a group sharing one kernel",
  rnn: "the basic recurrent network",
  lstm: "the LSTM",
  "ln-lstm": "the LSTM with layer norm",
  gru: "the gated recurrent unit",
  hyperrnn: "a recurrent network whose weights a smaller one makes at every step",
  hyperlstm: "an LSTM whose gates a smaller LSTM scales at every step",
  "ln-hyperlstm": "the same with layer norm in both cells",
};
