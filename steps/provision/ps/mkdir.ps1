# Makes the directory, if it is not there.
New-Item -ItemType Directory -Force -Path (named $a.path) -ErrorAction Stop | Out-Null
