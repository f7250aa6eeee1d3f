/** Trains in a worker, which takes the library by its address: import maps are for pages alone. */
import * as hyperloom from "./node_modules/hyperloom/dist/index.js";
import { train } from "./train.js";

train(hyperloom).then(
  (trained) => self.postMessage(trained),
  (error) => self.postMessage({ error: String(error) }),
);
