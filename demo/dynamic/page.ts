/// <reference types="vite/client" />
import source from "../../src/hyper/hyper-lstm.ts?raw";
import { mountFrame, mountSource } from "../shell/frame";
import { openLink, seed } from "../shell/link";

const link = openLink({ seed });
mountFrame("dynamic.html", link.complaints);
mountSource("src/hyper/hyper-lstm.ts", source);
