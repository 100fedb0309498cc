"""`watch`: what a program saves becomes an asset as it is saved: files of a folder, or what a ComfyUI server made."""
