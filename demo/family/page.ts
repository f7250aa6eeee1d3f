/// <reference types="vite/client" />
import source from "../../src/hyper/flat.ts?raw";
import { mountFrame, mountSource } from "../shell/frame";
import { openLink, seed } from "../shell/link";

const link = openLink({ seed });
mountFrame("family.html", link.complaints);
mountSource("src/hyper/flat.ts", source);
