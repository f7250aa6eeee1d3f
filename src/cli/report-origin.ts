import { availableParallelism, cpus, homedir, platform, release } from "node:os";
import type { BenchReport } from "../../bench/report";

/** Where, when and by which command a report came about; `program` is how the command begins. */
export function reportOrigin(program: string): Pick<BenchReport, "command" | "date" | "machine"> {
  return {
    command: commandLine(program),
    date: new Date().toISOString(),
    machine: {
      cpu: cpus()[0]?.model.trim() ?? "unknown CPU",
      cores: availableParallelism(),
      system: `${platform()} ${release()}`,
    },
  };
}

/** The command as typed, without the file that it writes. */
function commandLine(program: string): string {
  const words = process.argv.slice(2);
  const at = words.indexOf("--json");
  if (at >= 0) words.splice(at, 2);
  const quoted = words.map((word) => (/^[\w=.,:/~-]+$/.test(word) ? word : `'${word}'`));
  return [program, ...quoted].join(" ").replaceAll(homedir(), "~");
}
