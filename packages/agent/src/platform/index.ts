export { groupExists, hostPlatform, type Platform, type ProcessInfo } from "./platform.ts";
