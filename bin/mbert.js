#!/usr/bin/env node
import { main } from '../dist/commands/main.js';
import { endOnSignals, endWithReader } from '../dist/commands/signals.js';

endOnSignals();
endWithReader();
process.exitCode = await main(process.argv.slice(2));
