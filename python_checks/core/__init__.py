"""What every room uses: results, findings, options, words, files, commands under a deadline."""
