#!/usr/bin/env node
import { main } from '../dist/main.js';
import { endOnSignals, outliveReaders } from '../dist/signals.js';

endOnSignals();
outliveReaders();
process.exitCode = await main(process.argv.slice(2));
