import { Command, CommanderError } from "commander";
import { version } from "../../package.json";
import { registerBench } from "./bench";
import { registerDoctor } from "./doctor";
import { exitStatus } from "./errors";
import { registerEval } from "./eval";
import { registerGolden } from "./golden";
import { registerInfo } from "./info";
import { registerInspect } from "./inspect";
import { addGlobalOptions, type GlobalOptions } from "./options";
import { isDeno, runUnderDeno } from "./runtimes";
import { registerSample } from "./sample";
import { registerTrain } from "./train";

const program = new Command("hyperloom")
  .description(
    "Trains hypernetworks on WebGPU: networks whose weights are made by another network.",
  )
  .version(version)
  .configureHelp({ showGlobalOptions: true })
  .exitOverride()
  .configureOutput({
    // One line, whatever it is about.
    outputError: (text, write) =>
      write(
        `hyperloom: ${text
          .replace(/^error: /, "")
          .trim()
          .replace(/\s*\n\s*/g, " ")}\n`,
      ),
  });
addGlobalOptions(program);
registerTrain(program);
registerEval(program);
registerSample(program);
registerInfo(program);
registerInspect(program);
registerGolden(program);
registerBench(program);
registerDoctor(program);
program.hook("preAction", () => {
  // By the environment, which another runtime's process takes over.
  const { variants } = program.opts<GlobalOptions>();
  if (variants !== undefined) process.env.HYPERLOOM_VARIANTS = variants;
  if (program.opts().runtime !== "deno" || isDeno()) return;
  process.exit(runUnderDeno());
});

try {
  await program.parseAsync();
} catch (error) {
  if (error instanceof CommanderError) {
    process.exitCode = error.exitCode === 0 ? 0 : 2;
  } else {
    const { message, stack } = error as Error;
    const text = message.startsWith("hyperloom: ") ? message : `hyperloom: ${message}`;
    process.stderr.write(`${text.replace(/\s*\n\s*/g, " ")}\n`);
    if (process.env.HYPERLOOM_DEBUG === "1") process.stderr.write(`${stack}\n`);
    process.exitCode = exitStatus(error);
    // What hangs would not let the process end in order.
    if ((error as Error).name === "GpuHangError") process.exit();
  }
}
