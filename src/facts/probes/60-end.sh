section end
