"""The command's modules, one file each."""
