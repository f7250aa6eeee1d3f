/// <reference types="vite/client" />
import source from "../../src/hyper/wide-resnet.ts?raw";
import { mountFrame, mountSource } from "../shell/frame";
import { openLink, seed } from "../shell/link";

const link = openLink({ seed });
mountFrame("spectrum.html", link.complaints);
mountSource("src/hyper/wide-resnet.ts", source);
