/// <reference types="vite/client" />
import source from "../../src/schedule/kernels.ts?raw";
import { mountFrame, mountSource } from "../shell/frame";
import { openLink, seed } from "../shell/link";

const link = openLink({ seed });
mountFrame("bench.html", link.complaints);
mountSource("src/schedule/kernels.ts", source);
