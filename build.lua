-- What `vbuild` alone builds here: the demo.
return require "recipes.demo"
